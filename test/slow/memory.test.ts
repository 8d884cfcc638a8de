import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import OpenAI from "openai";
import { expect, it } from "vitest";
import { startServerProcess } from "../support/server-process.ts";

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (lines.length === 0) throw new Error(`no metric ${name}`);
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

it("2,000 short requests leak no slot and no memory: RSS after the last 1,000 is within 5 % of RSS after the first", async () => {
  const server = await startServerProcess();
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const rss: number[] = [];
  for (let half = 0; half < 2; half += 1) {
    let next = half * 1000;
    const worker = async (): Promise<void> => {
      while (next < (half + 1) * 1000) {
        const seed = next;
        next += 1;
        const request = {
          model: seed % 2 === 0 ? "realm" : "usergpt",
          messages: seed % 2 === 0 ? [{ role: "user" as const, content: `Find me ${seed} places to eat.` }] : [],
          seed,
          max_tokens: 8,
        };
        if (seed % 10 === 3) {
          // One in ten hangs up after its first words.
          for await (const _ of await client.chat.completions.create({ ...request, stream: true })) break;
        } else {
          await client.chat.completions.create(request);
        }
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    while ((await metric(server.url, "realchat_requests_running")) > 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await metric(server.url, "realchat_slots_used")).toBe(0);
    rss.push(await metric(server.url, "process_resident_memory_bytes"));
  }
  expect(await metric(server.url, "realchat_sequences_total")).toBe(2000);
  expect(await server.stop()).toBe(0);
  console.log(`RSS after 1,000 and 2,000 requests: ${rss.map((bytes) => (bytes / 1e6).toFixed(1)).join(", ")} MB`);
  expect(rss[1]! / rss[0]!).toBeLessThan(1.05);
});

it("ten loads and unloads of both models leave RSS within 5 % of what it was after the second", async () => {
  // A process of its own, so that the test runner's memory does not count.
  // A young generation of fixed, small size keeps V8's own growth, up to 5 MB whenever it likes, out of what is measured.
  const flags = ["--max-semi-space-size=1", "--max-old-space-size=1024"];
  const script = join(import.meta.dirname, "reload.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--expose-gc", script]);
  const rss = JSON.parse(stdout) as number[];
  console.log(`RSS after each load: ${rss.map((bytes) => (bytes / 1e6).toFixed(1)).join(", ")} MB`);
  expect(rss).toHaveLength(10);
  expect(rss.at(-1)! / rss[1]!).toBeLessThan(1.05);
});
