// `POST /v1/selfplay/dialogues` as a client sees it: the answer, the stream, errors in both, and hanging up.
import OpenAI from "openai";
import { afterEach, expect, test } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { createApp } from "../../../server/app.ts";
import { readConfig } from "../../../server/config.ts";
import { createLifecycle } from "../../../server/lifecycle.ts";
import { createLog } from "../../../server/log.ts";
import { type RunningServer, startServer } from "../../../server/main.ts";
import { createMetrics } from "../../../server/metrics.ts";
import { readServerSentData } from "../../../server/selfplay/remote-dialogue.ts";
import { turnSeed } from "../../../server/selfplay/seeds.ts";
import { catalogOf } from "./play.ts";
import { createServices } from "../../../server/services.ts";
import { type Script, SpellingModel } from "./spelling-model.ts";

const path = "/v1/selfplay/dialogues";
const config = readConfig([], {});
const log = createLog("silent");

/** An app over two scripted models. */
function open(userScript: Script, assistantScript: Script, contextWindow = 1000) {
  const user = new SpellingModel("user", userScript, contextWindow);
  const assistant = new SpellingModel("assistant", assistantScript, contextWindow);
  const catalog = catalogOf(user, assistant);
  const lifecycle = createLifecycle();
  const metrics = createMetrics({ version: "0", hasProcessMetrics: false });
  metrics.describe(catalog.list().map((model) => model.info));
  const services = createServices({ catalog, config, log, metrics });
  const app = createApp({ catalog, config, lifecycle, log, metrics, services });
  const post = (body: unknown, signal = new AbortController().signal) =>
    app.request(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
      signal,
    });
  return { app, post, user, assistant, lifecycle, metrics, catalog };
}

/** What a stream says, the end mark included. */
async function frames(response: Response): Promise<unknown[]> {
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const read = await Array.fromAsync(readServerSentData(response.body ?? new ReadableStream()));
  return read.map((data) => (data === "[DONE]" ? data : JSON.parse(data)));
}

const idle = (models: ReturnType<typeof open>) => [
  models.user.running,
  models.assistant.running,
  models.user.sessions.size,
  models.assistant.sessions.size,
];

let server: RunningServer | null = null;
afterEach(async () => {
  await server?.drain();
  server = null;
});

/** The same app behind a real socket. */
async function listen(models: ReturnType<typeof open>): Promise<OpenAI> {
  const settings = { ...config, port: 0, drainTimeoutS: 0 };
  server = await startServer(settings, async () => models.catalog, log, new AbortController().signal);
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
}

test("the answer is the whole dialogue", async () => {
  const { post } = open(["Hi", "Bye"], ["Yo", "See you"]);
  const response = await post({ max_turns: 2, seed: 7 });
  expect(response.status).toBe(200);
  const answer: unknown = await response.json();
  expect(answer).toMatchObject({
    object: "selfplay.dialogue",
    id: expect.stringMatching(/^dlg_[0-9a-f]{32}$/),
    created: expect.closeTo(Date.now() / 1000, -1),
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Yo" },
      { role: "user", content: "Bye" },
      { role: "assistant", content: "See you" },
    ],
    stop_reason: "max_turns",
    turns: 2,
    seed: 7,
    models: { user: { id: "usergpt" }, assistant: { id: "realm" } },
  });
});

test("a random seed is reported, and the request that names it gets the same seeds", async () => {
  const free = open(["Hi"], ["Yo"]);
  const { seed } = (await (await free.post({ max_turns: 1 })).json()) as { seed: number };
  expect(free.user.requests[0]?.sampling.seed).toBe(turnSeed(seed, { dialogueIndex: 0, turn: 1, role: "user" }));
  const again = open(["Hi"], ["Yo"]);
  await again.post({ max_turns: 1, seed });
  expect(again.assistant.requests[0]?.sampling).toEqual(free.assistant.requests[0]?.sampling);
});

test("sharegpt is a format of the answer and of the last event", async () => {
  const conversations = [
    { from: "human", value: "Hi" },
    { from: "gpt", value: "Yo" },
  ];
  const body = { max_turns: 1, format: "sharegpt" };
  const answer: unknown = await (await open(["Hi"], ["Yo"]).post(body)).json();
  expect(answer).toMatchObject({ conversations });
  expect(answer).not.toHaveProperty("messages");
  const told = await frames(await open(["Hi"], ["Yo"]).post({ ...body, stream: true }));
  expect(told.at(-2)).toMatchObject({ object: "selfplay.dialogue", conversations });
});

test("a stream tells every token of both sides, then the whole dialogue, then its end", async () => {
  const body = { max_turns: 1, seed: 7, return_token_ids: true };
  const told = await frames(await open(["Hi"], ["Yo"]).post({ ...body, stream: true }));
  const said = told.map((event) => {
    const { type, role, text, object } = event as Record<string, string>;
    return event === "[DONE]" ? event : [type ?? object, role, text].filter(Boolean).join(" ");
  });
  expect(said).toEqual([
    "turn_start user",
    "token user H",
    "token user i",
    "turn_end user",
    "turn_start assistant",
    "token assistant Y",
    "token assistant o",
    "turn_end assistant",
    "selfplay.dialogue",
    "[DONE]",
  ]);
  expect(told[3]).toMatchObject({ content: "Hi", cause: "end_token", token_ids: [0x200048, 0x200069] });
  const answer = (await (await open(["Hi"], ["Yo"]).post(body)).json()) as object;
  expect(told.at(-2)).toEqual({ ...answer, id: expect.any(String), created: expect.any(Number) });
});

const refusals: readonly [rule: string, body: unknown, status: number, error: object][] = [
  ["an unknown user model", { user: "x" }, 404, { param: "user", code: "model_not_found" }],
  ["a model of the wrong role", { assistant: "usergpt" }, 400, { param: "assistant", code: "invalid_value" }],
  ["an unknown format", { format: "alpaca", stream: true }, 400, { param: "format", code: "invalid_value" }],
  ["half a round", { messages: [{ role: "user", content: "q" }] }, 400, { param: "messages", code: "invalid_value" }],
  ["broken JSON", "{", 400, { param: null, code: null }],
];

test.each(refusals)("%s is answered in OpenAI's shape", async (_, body, status, error) => {
  const response = await open([], []).post(body);
  expect(response.status).toBe(status);
  const type = "invalid_request_error";
  expect(await response.json()).toEqual({ error: { message: expect.any(String), type, ...error } });
});

test("another method is told which one there is", async () => {
  const response = await open([], []).app.request(path);
  expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
});

test.each([false, true])("a first turn that is refused has a status of its own (stream: %s)", async (stream) => {
  const refuses = new EngineError("queue_full", "The queue is full.", { retryAfterMs: 2500 });
  const models = open([{ text: "", refuses }], []);
  const response = await models.post({ stream });
  expect([response.status, response.headers.get("retry-after-ms")]).toEqual([429, "2500"]);
  expect(await models.metrics.render()).toContain(
    'requests_rejected_total{model="usergpt",role="user",endpoint="selfplay",reason="queue_full"} 1',
  );
  expect(await models.metrics.render()).not.toContain("selfplay_dialogues_total{");
});

test("a later failure is the answer's status, or the stream's last word after what there is", async () => {
  const fails = new EngineError("ort_failed", "The device at /dev/x is gone.");
  const script = ["Yo", { text: "S", fails }];
  const response = await open(["Hi", "Bye"], script).post({});
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("/dev/x");

  const models = open(["Hi", "Bye"], script);
  const told = await frames(await models.post({ stream: true }));
  expect(told.at(-2)).toMatchObject({
    object: "selfplay.dialogue",
    stop_reason: "error",
    stopped_by: "assistant",
    turns: 1,
    discarded: [{ role: "user", turn: 2, content: "Bye" }],
  });
  expect(told.at(-1)).toMatchObject({ error: { type: "server_error" } });
  expect(idle(models)).toEqual([0, 0, 0, 0]);
});

test("a server that stops ends its dialogues with an error that may be retried", async () => {
  const models = open(["Hi"], (_, call) => {
    if (call === 0) setImmediate(() => models.lifecycle.stop());
    return "a very long answer that nobody will hear the end of";
  });
  const told = await frames(await models.post({ stream: true }));
  expect(told.at(-2)).toMatchObject({ stop_reason: "cancelled", turns: 0 });
  expect(told.at(-1)).toMatchObject({ error: { message: expect.stringContaining("shutting down") } });
  expect(idle(models)).toEqual([0, 0, 0, 0]);

  const unheard = open(["Hi"], () => {
    unheard.lifecycle.stop();
    return "a very long answer";
  });
  expect((await unheard.post({})).status).toBe(503);
});

test("dialogues, turns and requests are counted once", async () => {
  const models = open(["Hi", "Bye", ""], ["Yo", "See you"]);
  await models.post({});
  const text = await models.metrics.render();
  for (const line of [
    'selfplay_dialogues_total{outcome="empty_turn"} 1',
    "selfplay_dialogues_running 0",
    'selfplay_turns_total{role="user"} 2',
    'selfplay_turns_total{role="assistant"} 2',
    'selfplay_turns_discarded_total{role="user"} 1',
    'requests_total{model="usergpt",role="user",endpoint="selfplay",outcome="stop"} 1',
    'requests_total{model="realm",role="assistant",endpoint="selfplay",outcome="stop"} 1',
  ]) {
    expect(text).toContain(`realchat_${line}\n`);
  }
});

test("the official client plays a dialogue, whole and as a stream", async () => {
  const client = await listen(open(["Hi", "Hi"], ["Yo", "Yo"]));
  const body = { max_turns: 1, seed: 7 };
  const whole = await client.post<{ messages: unknown[] }>("/selfplay/dialogues", { body });
  expect(whole.messages).toHaveLength(2);
  const stream = await client.post<AsyncIterable<{ object: string }>>("/selfplay/dialogues", {
    body: { ...body, stream: true },
    stream: true,
  });
  const objects = await Array.fromAsync(stream as AsyncIterable<{ object: string }>, (event) => event.object);
  expect(objects.at(-1)).toBe("selfplay.dialogue");
  expect(objects).toHaveLength(9);
  await expect(client.post("/selfplay/dialogues", { body: { user: "x" } })).rejects.toThrow(OpenAI.NotFoundError);
});

test.each([false, true])("a client that hangs up cancels both sides (stream: %s)", async (stream) => {
  const endless = "and so on, ".repeat(100_000);
  const models = open(["Hi", "Go on"], ["Yo", endless], 10_000_000);
  const client = await listen(models);
  const abort = new AbortController();
  const answer = client.post("/selfplay/dialogues", { body: { stream }, stream, signal: abort.signal });
  const settled = Promise.allSettled([answer]);
  await expect.poll(() => models.assistant.requests.length).toBe(2);
  expect(models.assistant.running).toBe(1);
  abort.abort();
  await expect.poll(() => idle(models)).toEqual([0, 0, 0, 0]);
  expect(models.user.requests.length).toBe(2);
  await settled;
});
