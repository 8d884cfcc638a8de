// A hundred requests in flight, streamed and plain, to both roles, while both models get other weights: not one fails, and every one
// says what it says when nothing is replaced. Then twenty rounds of loading and removing: memory is as it was.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { modelFolderName } from "../../runtime/model-id.ts";
import { writePairFolder } from "../support/pair-folders.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const ids = ["ft:usergpt:a::1", "ft:realm:a::1"] as const;
let root: string;
let server: ServerProcess;
let client: OpenAI;

const folderOf = (id: string) => join(root, modelFolderName(id));
const writeOld = () =>
  Promise.all([
    writePairFolder(folderOf(ids[0]), ids[0], "usergpt", "usergpt"),
    writePairFolder(folderOf(ids[1]), ids[1], "realm", "realm"),
  ]);
const writeNew = () =>
  Promise.all([
    writePairFolder(folderOf(ids[0]), ids[0], "usergpt", "realm"),
    writePairFolder(folderOf(ids[1]), ids[1], "realm", "usergpt"),
  ]);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "hot-swap-test-"));
  await writeOld();
  server = await startServerProcess(["--models", root, "--rescan", "0"]);
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0, timeout: 300_000 });
});
afterAll(async () => {
  await server.stop();
  await rm(root, { recursive: true });
});

async function load(id: string): Promise<number> {
  const response = await fetch(`${server.url}/v1/models/${encodeURIComponent(id)}/load`, { method: "POST" });
  return response.status;
}

/** Request `seed`: its model, and whether it is a stream, follow from it. */
async function say(seed: number): Promise<string> {
  const model = ids[seed % 2] ?? ids[0];
  const messages = seed % 2 === 0 ? [] : [{ role: "user" as const, content: `I need a table for ${seed}.` }];
  const request = { model, messages, seed, max_tokens: 120, temperature: 1 };
  if (seed % 4 < 2) return (await client.chat.completions.create(request)).choices[0]?.message.content ?? "";
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  return text;
}

const sayAll = () => Promise.all(Array.from({ length: 100 }, (_, seed) => say(seed)));

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

it("a hundred requests that are in flight during a swap are answered to the end as if there were none", async () => {
  const old = await sayAll();
  const running = sayAll();
  while ((await metric("realchat_requests_running")) < 16) await new Promise((resolve) => setTimeout(resolve, 5));
  await writeNew();
  expect(await Promise.all(ids.map(load))).toEqual([200, 200]);
  const inFlight = await metric("realchat_http_requests_in_flight");
  const later = sayAll();
  expect(await running).toEqual(old);
  const fresh = await later;
  // Two models may say the same short thing.
  expect(fresh.filter((text, seed) => text === old[seed]).length).toBeLessThan(10);
  expect(await sayAll()).toEqual(fresh);
  console.log(`${inFlight - 1} requests were still in flight when both models had been replaced`);
  expect(inFlight).toBeGreaterThan(10);
});

it("twenty rounds of loading and removing a model leave RSS within 5 % of what it was after the fifth", async () => {
  const id = "ft:realm:round::1";
  const rss: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    await writePairFolder(folderOf(id), id, "realm", round % 2 === 0 ? "realm" : "usergpt");
    expect(await load(id)).toBe(200);
    const answer = client.chat.completions.create({
      model: id,
      messages: [{ role: "user", content: "I need a table." }],
      max_tokens: 50,
    });
    expect((await answer).choices).toHaveLength(1);
    expect(await client.models.delete(id)).toMatchObject({ deleted: true });
    // It is closed when nobody was given it for a second.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    rss.push(await metric("process_resident_memory_bytes"));
  }
  console.log(`RSS after each round: ${rss.map((bytes) => (bytes / 1e6).toFixed(1)).join(", ")} MB`);
  // Until then V8 still sizes its heap.
  expect(rss.at(-1)! / rss[4]!).toBeLessThan(1.05);
});
