import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

let server: ServerProcess;
let client: OpenAI;
beforeAll(async () => {
  server = await startServerProcess([], { REALCHAT_API_KEYS: "first,second" });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "second", maxRetries: 0 });
});
afterAll(async () => {
  const errors = server.logged().filter(({ level }) => level === "error");
  expect(await server.stop()).toBe(0);
  expect(errors).toEqual([]);
});

interface Dialogue {
  readonly object: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly conversations?: readonly { readonly from: string; readonly value: string }[];
  readonly stop_reason: string;
  readonly turns: number;
  readonly usage: Record<"user" | "assistant", { prompt_tokens: number; prefilled_tokens: number }>;
}
const play = (body: object): Promise<Dialogue> => client.post("/selfplay/dialogues", { body });

describe("a dialogue over HTTP", () => {
  it("is played by the two embedded models, the user first, the assistant last, each word once", async () => {
    const dialogue = await play({ seed: 3 });
    expect(dialogue.object).toBe("selfplay.dialogue");
    expect(dialogue.turns).toBeGreaterThan(2);
    expect(dialogue.messages.map(({ role }) => role)).toEqual(
      Array.from({ length: dialogue.turns * 2 }, (_, index) => (index % 2 === 0 ? "user" : "assistant")),
    );
    for (const { content } of dialogue.messages) expect(content.trim()).not.toBe("");
    for (const side of ["user", "assistant"] as const) {
      expect(dialogue.usage[side].prefilled_tokens).toBeLessThan(dialogue.usage[side].prompt_tokens / 2);
    }
  });

  it("is the same for the same seed, also beside fifteen others", async () => {
    const alone = [];
    for (const seed of [1, 2, 3]) alone.push((await play({ seed, max_turns: 4 })).messages);
    const together = await Promise.all(
      Array.from({ length: 16 }, (_, index) => play({ seed: index + 1, max_turns: 4 })),
    );
    expect(together.slice(0, 3).map(({ messages }) => messages)).toEqual(alone);
  });

  it("continues a seed round, stops at max_turns, and comes as ShareGPT when asked", async () => {
    const messages = [
      { role: "user", content: "I am looking for a cheap restaurant." },
      { role: "assistant", content: "In which city are you looking?" },
    ];
    const dialogue = await play({ messages, max_turns: 3, seed: 1, format: "sharegpt" });
    expect(dialogue.conversations!.slice(0, 2)).toEqual([
      { from: "human", value: messages[0]!.content },
      { from: "gpt", value: messages[1]!.content },
    ]);
    expect([dialogue.turns, dialogue.stop_reason]).toEqual([3, "max_turns"]);
    expect(dialogue.conversations!.at(-1)!.from).toBe("gpt");
  });

  it("streams every token of both sides, which add up to the dialogue", async () => {
    const response = await fetch(`${server.url}/v1/selfplay/dialogues`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer first" },
      body: JSON.stringify({ seed: 3, max_turns: 3, stream: true }),
    });
    const frames = (await response.text()).split("\n\n").filter((frame) => frame.startsWith("data: "));
    expect(frames.at(-1)).toBe("data: [DONE]");
    const events = frames.slice(0, -1).map((frame) => JSON.parse(frame.slice(6)) as Record<string, unknown>);
    const texts = new Map<string, string>();
    for (const { type, role, turn, text } of events) {
      const key = `${String(role)} ${String(turn)}`;
      if (type === "token") texts.set(key, (texts.get(key) ?? "") + String(text));
    }
    const dialogue = await play({ seed: 3, max_turns: 3 });
    expect([...texts.values()].map((text) => text.trim())).toEqual(dialogue.messages.map(({ content }) => content));
    expect(texts.size).toBe(6);
    expect(events.filter(({ type }) => type === "token").length).toBeGreaterThan(20);
  });

  it("is refused without a key, with the field named when it is wrong", async () => {
    const keyless = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await expect(keyless.post("/selfplay/dialogues", { body: {} })).rejects.toMatchObject({
      status: 401,
      code: "invalid_api_key",
    });
    await expect(play({ max_turns: 0 })).rejects.toMatchObject({ status: 400, param: "max_turns" });
    await expect(play({ user: "realm" })).rejects.toMatchObject({ status: 400, param: "user" });
    await expect(play({ assistant: "nobody" })).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });
});
