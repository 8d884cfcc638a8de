// The app over scripted models, without a socket, with its log captured: a test that leaves an unexpected error logged fails.
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { ModelCatalog } from "../../server/model-catalog.ts";
import { createApp } from "../../server/app.ts";
import { type Config, readConfig } from "../../server/config.ts";
import { createLifecycle } from "../../server/lifecycle.ts";
import { createLog } from "../../server/log.ts";
import { createMetrics } from "../../server/metrics.ts";
import { createServices } from "../../server/services.ts";
import { type ScriptedModel, scriptedModel } from "./scripted-model.ts";

type LogLine = Readonly<Record<string, unknown>>;

interface HarnessOptions {
  readonly models?: readonly ScriptedModel[];
  readonly config?: Partial<Config>;
  readonly isReady?: boolean;
  readonly metrics?: ReturnType<typeof createMetrics>;
}

/** A catalog of scripted models. */
export function scriptedCatalog(models: readonly ScriptedModel[], isReady = true): ModelCatalog {
  return {
    list: () => models,
    get: (id) => models.find(({ info }) => info.id === id),
    ready: () => ({
      ready: isReady,
      models: models.map(({ info: { id, role, device, precision } }) => ({
        id,
        role,
        device,
        precision,
        ready: isReady,
      })),
    }),
    async close() {
      await Promise.all(models.map((model) => model.close()));
    },
  };
}

/** Defaults, whatever the environment of the test run says; what is stored is nobody else's. */
export const testConfig = (over: Partial<Config> = {}): Config => ({
  ...readConfig([], {}),
  port: 0,
  dataFolder: join(tmpdir(), `realchat-data-${randomUUID()}`),
  ...over,
});

/** Collects log lines and fails the running test for errors that it has not taken. */
export function captureLog() {
  const lines: LogLine[] = [];
  const log = createLog("debug", (line) => lines.push(JSON.parse(line) as LogLine));
  const takeErrors = () => {
    const errors = lines.filter(({ level }) => level === "error");
    lines.splice(0, lines.length, ...lines.filter(({ level }) => level !== "error"));
    return errors;
  };
  onTestFinished(() => expect(takeErrors()).toEqual([]));
  return { log, lines, takeErrors };
}

export function createHarness({ models = [scriptedModel()], config, isReady, metrics }: HarnessOptions = {}) {
  const captured = captureLog();
  const lifecycle = createLifecycle();
  const catalog = scriptedCatalog(models, isReady);
  const ownMetrics = metrics ?? testMetrics();
  ownMetrics.describe(models.map((model) => model.info));
  const settings = testConfig(config);
  const services = createServices({ catalog, config: settings, log: captured.log, metrics: ownMetrics });
  const app = createApp({ catalog, config: settings, lifecycle, log: captured.log, metrics: ownMetrics, services });
  const send = (
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    signal: AbortSignal | null = null,
  ) => app.request(path, { method, headers, signal, ...(body === undefined ? {} : { body }) });
  const chat = (fields: object, headers: Record<string, string> = {}, signal: AbortSignal | null = null) => {
    const body = JSON.stringify({ model: "realm", messages: hello, ...fields });
    return send("POST", "/v1/chat/completions", body, { "content-type": "application/json", ...headers }, signal);
  };
  return { chat, lifecycle, metrics: ownMetrics, send, ...captured };
}

export const testMetrics = () => createMetrics({ version: "0.0.0", hasProcessMetrics: false });

/** The shortest conversation. */
export const hello = [{ role: "user", content: "Hello" }] as const;

/** The `data:` payloads of a stream, in order, comments left out. */
export async function readEvents(response: Response): Promise<string[]> {
  const text = await response.text();
  expect(text.endsWith("\n\n")).toBe(true);
  const frames = text
    .slice(0, -2)
    .split("\n\n")
    .filter((frame) => !frame.startsWith(":"));
  return frames.map((frame) => {
    expect(frame).toMatch(/^data: [^\n]*$/);
    return frame.slice("data: ".length);
  });
}

/** The objects of a stream that ends with `[DONE]`. */
export async function readChunks(response: Response): Promise<Record<string, unknown>[]> {
  const events = await readEvents(response);
  expect(events.pop()).toBe("[DONE]");
  return events.map((event) => JSON.parse(event) as Record<string, unknown>);
}

interface Completion {
  readonly choices: readonly {
    readonly index: number;
    readonly message: { readonly role: string; readonly content: string };
    readonly finish_reason: string;
    readonly realchat?: object;
  }[];
  readonly usage: object;
}

/** A completion, of which the status is checked and the shape is taken on trust. */
export async function readCompletion(response: Response): Promise<Completion> {
  expect(response.status).toBe(200);
  return (await response.json()) as Completion;
}

export interface ErrorAnswer {
  readonly status: number;
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** The error of an answer, after checking that it has OpenAI's shape: exactly four fields. */
export async function readError(response: Response): Promise<ErrorAnswer> {
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  expect(response.headers.get("x-request-id")).toMatch(/^\S+$/);
  const body = (await response.json()) as { error: ErrorAnswer["error"] };
  expect(Object.keys(body)).toEqual(["error"]);
  expect(Object.keys(body.error)).toEqual(["message", "type", "param", "code"]);
  expect(body.error).toEqual({
    message: expect.stringMatching(/\S/),
    type: expect.stringMatching(/^\w+$/),
    param: body.error.param === null ? null : expect.any(String),
    code: body.error.code === null ? null : expect.any(String),
  });
  return { status: response.status, error: body.error };
}
