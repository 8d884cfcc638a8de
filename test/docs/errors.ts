// Owns the tables of errors: real requests to the app and real errors of the runtime, with what the client is told of them
// and which error of the official client that becomes. It does not know how errors are mapped.
import { APIError } from "openai";
import { EngineError, type EngineErrorCode } from "../../runtime/errors.ts";
import { createApp } from "../../server/app.ts";
import type { Config } from "../../server/config.ts";
import { createLifecycle } from "../../server/lifecycle.ts";
import { createLog } from "../../server/log.ts";
import { clientClosedStatus, type ErrorBody, toApiError } from "../../server/openai/error.ts";
import { hello, scriptedCatalog, testConfig, testMetrics } from "../support/app-harness.ts";
import { scriptedModel } from "../support/scripted-model.ts";
import { createServices } from "../../server/services.ts";
import { code, markdownTable } from "./markdown.ts";

interface RequestCase {
  readonly when: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a chat completion; sent as it is where it is a string. */
  readonly body?: object | string;
  readonly config?: Partial<Config>;
  readonly isDraining?: boolean;
}

const requestCases: readonly RequestCase[] = [
  { when: "A field has the wrong type", body: { temperature: "hot" } },
  { when: "A number is out of range", body: { temperature: 3 } },
  { when: "A required field is missing", body: { model: undefined } },
  { when: "A field has a meaning that is not served", body: { tools: [{}] } },
  { when: "The body is not JSON", body: "{" },
  { when: "The messages do not end where the model's turn begins", body: { model: "usergpt" } },
  { when: "The model is not served", body: { model: "gpt-x" } },
  { when: "No key where keys are configured", config: { apiKeys: ["one"] } },
  { when: "A wrong key", config: { apiKeys: ["one"] }, headers: { authorization: "Bearer other" } },
  { when: "No such endpoint", path: "/v1/chat" },
  { when: "The endpoint has no such method", method: "DELETE" },
  { when: "The body is larger than `--max-body-bytes`", config: { maxBodyBytes: 10 } },
  { when: "The content type is not JSON", headers: { "content-type": "text/csv" } },
  { when: "The body is compressed", headers: { "content-encoding": "gzip" } },
  { when: "The server is shutting down", isDraining: true },
];

const engineCases: Readonly<Record<EngineErrorCode, string>> = {
  context_length_exceeded: "The prompt does not fit into the context window",
  queue_full: "As many requests or tokens wait as are allowed",
  draining: "The model is closing",
  invalid_request:
    "The request contradicts the model: a turn order its template refuses, a token id outside its vocabulary",
  cancelled: "The caller hung up; only the log sees it",
  ort_failed: "ONNX Runtime failed",
  ort_missing: "The native library is missing or of another version (at the start)",
  device_unavailable: "The device asked for cannot be had (at the start)",
  bad_model: "A model folder is broken (at the start)",
  upstream_failed: "A model elsewhere failed, cannot be reached or sent no usable answer, however often it was tried",
  upstream_timeout: "A model elsewhere took too long, however often it was tried",
  upstream_overloaded: "A model elsewhere is overloaded, however often it was tried",
  upstream_rate_limited: "A model elsewhere limits the rate, however often it was tried",
  upstream_refused: "A model elsewhere refuses for good: a bad key, no credit, no such model",
};

const head = ["When", "Status", "`type`", "`code`", "`param`", "Official client"];

/** What is refused before a model is asked. */
export async function requestErrorsTable(): Promise<string> {
  const rows: string[][] = [];
  for (const request of requestCases) {
    const response = await send(request);
    const { error } = (await response.json()) as { error: ErrorBody };
    rows.push(row(request.when, response.status, error));
  }
  return markdownTable(head, rows);
}

/** What the runtime refuses or fails at, by its code. */
export function engineErrorsTable(): string {
  const rows = Object.entries(engineCases).map(([engineCode, when]) => {
    const { status, body } = toApiError(new EngineError(engineCode as EngineErrorCode, when, { param: "messages" }));
    return row(`${when} (${code(engineCode)})`, status, body);
  });
  return markdownTable(head, rows);
}

function send({ method = "POST", path = "/v1/chat/completions", headers = {}, body = {}, ...rest }: RequestCase) {
  const { config = {}, isDraining = false } = rest;
  const lifecycle = createLifecycle();
  if (isDraining) lifecycle.drain();
  const catalog = scriptedCatalog([scriptedModel(), scriptedModel({ info: { id: "usergpt", role: "user" } })]);
  const [settings, log] = [testConfig(config), createLog("silent")];
  const services = createServices({ catalog, config: settings, log, metrics: testMetrics() });
  const deps = { catalog, config: settings, lifecycle, log, metrics: testMetrics(), services };
  const text = typeof body === "string" ? body : JSON.stringify({ model: "realm", messages: hello, ...body });
  const sent = { method, body: text, headers: { "content-type": "application/json", ...headers } };
  return createApp(deps).request(path, sent);
}

function row(when: string, status: number, error: ErrorBody): string[] {
  const isSeen = status !== clientClosedStatus;
  const thrown = isSeen ? APIError.generate(status, { error }, undefined, new Headers()).constructor.name : "–";
  return [when, String(status), code(error.type), code(error.code), code(error.param), isSeen ? code(thrown) : thrown];
}
