import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { BadRequestError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

// Two real processes: one has the models and asks for a key, the other has nothing but the first one's address.
const key = "between-us";
let folder: string;
let back: ServerProcess;
let front: ServerProcess;
let direct: OpenAI;
let proxied: OpenAI;

const upstreamFile = async (name: string, upstreams: readonly object[]) => {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify({ modelRoots: [], upstreams }));
  return path;
};
const upstreamOf = (id: string, role: string, over: object = {}) => ({
  id,
  role,
  model: id,
  baseUrl: `${back.url}/v1`,
  apiKeyEnv: "BACK_KEY",
  contextWindow: 1024,
  extensions: true,
  userMode: "natural",
  ...over,
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "realchat-front-"));
  back = await startServerProcess([], { REALCHAT_API_KEYS: key });
  const file = await upstreamFile("front.json", [upstreamOf("usergpt", "user"), upstreamOf("realm", "assistant")]);
  front = await startServerProcess(["--config", file], { BACK_KEY: key });
  direct = new OpenAI({ baseURL: `${back.url}/v1`, apiKey: key, maxRetries: 0 });
  proxied = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(async () => {
  for (const server of [front, back]) {
    const errors = server.logged().filter(({ level }) => level === "error");
    expect(await server.stop()).toBe(0);
    expect(errors).toEqual([]);
  }
  await rm(folder, { recursive: true });
});

const ask = [{ role: "user" as const, content: "I want to find a restaurant in San Jose." }];
const closing = [
  { role: "user" as const, content: "Find me a dentist in Berkeley." },
  { role: "assistant" as const, content: "Sunny Dental is a nice dentist in Berkeley." },
  { role: "user" as const, content: "Thank you, that is all." },
  { role: "assistant" as const, content: "Have a great day!" },
];

describe("a gateway in front of a gateway", () => {
  it("lists the models as remote ones", async () => {
    const { data } = await proxied.models.list();
    expect(data).toMatchObject([
      { id: "usergpt", role: "user", device: "remote" },
      { id: "realm", role: "assistant", device: "remote" },
    ]);
  });

  it.each([
    ["greedily", "realm", ask, { temperature: 0 }],
    ["with a seed", "realm", ask, { temperature: 0.8, seed: 11 }],
    ["with a stop string", "realm", ask, { temperature: 0, stop: ["?"] }],
    ["cut off", "realm", ask, { temperature: 0, max_tokens: 3 }],
    ["with our extensions", "realm", ask, { seed: 3, top_k: 5, min_p: 0.1, repetition_penalty: 1.2 }],
    ["an opener", "usergpt", [], { seed: 1, temperature: 0.7 }],
    ["a goodbye", "usergpt", closing, { temperature: 0 }],
  ])("answers as the one behind it: %s", async (_, model, messages, over) => {
    const request = { model, messages, ...over };
    const [expected, whole] = [
      await direct.chat.completions.create(request),
      await proxied.chat.completions.create(request),
    ];
    expect(whole.choices).toEqual(expected.choices);
    const { prompt_tokens, completion_tokens } = expected.usage ?? {};
    expect(whole.usage).toMatchObject({ prompt_tokens, completion_tokens });
    const stream = await proxied.chat.completions.create({ ...request, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe(expected.choices[0]?.message.content);
  });

  it("hands on the end of a conversation", async () => {
    const over = await proxied.chat.completions.create({ model: "usergpt", messages: closing, temperature: 0 });
    expect(over.choices[0]).toMatchObject({ message: { content: "" }, realchat: { end_of_conversation: true } });
  });

  it("hands on a context overflow with its figures", async () => {
    const messages = [{ role: "user" as const, content: "word ".repeat(1500) }];
    const error: unknown = await proxied.chat.completions.create({ model: "realm", messages }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: "context_length_exceeded", param: "messages" });
    expect(String(error)).toMatch(
      /maximum context length is 1024 tokens\. However, your messages resulted in \d{4} tokens/,
    );
  });

  it("plays dialogues of two models elsewhere, by the same rules", async () => {
    const dialogues = await Promise.all(
      [1, 2, 3, 4].map((seed) =>
        proxied.post<{ messages: { role: string }[]; stop_reason: string; turns: number }>("/selfplay/dialogues", {
          body: { seed, max_turns: 6, sampling: { user: { temperature: 0.7 }, assistant: { temperature: 0 } } },
        }),
      ),
    );
    for (const { messages, stop_reason, turns } of dialogues) {
      expect(["max_turns", "end_token", "empty_turn"]).toContain(stop_reason);
      expect(messages).toHaveLength(2 * turns);
    }
    expect(Math.max(...dialogues.map(({ turns }) => turns))).toBeGreaterThan(1);
  });
});

describe("the start", () => {
  it("stops with the variable's name where a key is missing", async () => {
    const file = await upstreamFile("keyless.json", [upstreamOf("realm", "assistant")]);
    await expect(startServerProcess(["--config", file])).rejects.toThrow(
      /ended with 2: The upstream "realm" takes its key from the environment variable BACK_KEY, which is not set/,
    );
  });

  it("stops where an upstream has the name of a model here", async () => {
    const path = join(folder, "twice.json");
    await writeFile(path, JSON.stringify({ upstreams: [upstreamOf("realm", "assistant", { apiKeyEnv: undefined })] }));
    await expect(startServerProcess(["--config", path])).rejects.toThrow(/and an upstream are both named "realm"/);
  });
});

it("a wrong key is our operator's affair: one attempt, a 502, a line in the log", async () => {
  const file = await upstreamFile("locked.json", [upstreamOf("realm", "assistant")]);
  const locked = await startServerProcess(["--config", file], { BACK_KEY: "sk-wrong" });
  const client = new OpenAI({ baseURL: `${locked.url}/v1`, apiKey: "none", maxRetries: 2 });
  const error: unknown = await client.chat.completions
    .create({ model: "realm", messages: ask })
    .catch((e: unknown) => e);
  expect(error).toMatchObject({ status: 502, code: "upstream_refused" });
  const lines = locked.logged().filter(({ level }) => level === "warn");
  expect(await locked.stop()).toBe(0);
  expect(lines).toMatchObject([{ message: "upstream failed", code: "upstream_refused" }]);
  expect(JSON.stringify([String(error), locked.logged()])).not.toContain("sk-wrong");
});
