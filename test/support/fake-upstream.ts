// An OpenAI-compatible server that answers as a test tells it to, faults included, and remembers what it was asked.
// Closed when the test ends, with every connection.
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";

interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
  /** Resolves when the client has hung up or has been answered. */
  readonly closed: Promise<void>;
  wasAnswered: boolean;
}

/** How one request is answered. */
export type FakeAnswer = (response: ServerResponse, request: ReceivedRequest) => void | Promise<void>;

interface Saying {
  readonly finish?: string | null;
  /** null: the endpoint counts nothing. */
  readonly usage?: object | null;
  /** Beside `finish_reason` of the last choice chunk. */
  readonly extra?: object;
  readonly gapMs?: number;
  readonly isDone?: boolean;
}

const sse = (response: ServerResponse) => response.writeHead(200, { "content-type": "text/event-stream" });
const event = (payload: unknown) => `data: ${JSON.stringify(payload)}\n\n`;
const choice = (delta: object, finish: string | null = null, extra: object = {}) =>
  event({
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish, ...extra }],
    usage: null,
  });

/** A stream that goes well. */
export function says(pieces: readonly string[], saying: Saying = {}): FakeAnswer {
  const { finish = "stop", extra = {}, gapMs = 0, isDone = true } = saying;
  const { usage = { prompt_tokens: 10, completion_tokens: pieces.length + 1 } } = saying;
  return async (response) => {
    sse(response).write(choice({ role: "assistant", content: "" }));
    for (const content of pieces) {
      if (gapMs > 0) await sleep(gapMs);
      response.write(choice({ content }));
    }
    if (finish !== null) response.write(choice({}, finish, extra));
    if (usage !== null) response.write(event({ choices: [], usage }));
    response.end(isDone ? "data: [DONE]\n\n" : "");
  };
}

/** A refusal with this body; objects are sent as JSON. */
export function refuses(
  status: number,
  body: object | string = {},
  headers: Readonly<Record<string, string>> = {},
): FakeAnswer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return (response) => void response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
}

/** OpenAI's error body. */
export const errorBody = (message: string, code: string | null = null) => ({
  error: { message, type: "invalid_request_error", param: null, code },
});

/** Stream text as it stands, then the end of the connection in good order. */
export const streams =
  (text: string): FakeAnswer =>
  (response) =>
    void sse(response).end(text);

/** Some pieces, and then the connection breaks. */
export const breaksOff =
  (...pieces: readonly string[]): FakeAnswer =>
  async (response) => {
    sse(response).write(pieces.map((content) => choice({ content })).join(""));
    await sleep(20);
    response.socket?.destroy();
  };

/** Takes the request and never says a word; or says some and falls silent. */
export const hangs =
  (...pieces: readonly string[]): FakeAnswer =>
  (response) => {
    if (pieces.length > 0) sse(response).write(pieces.map((content) => choice({ content })).join(""));
  };

/** The connection is closed without an answer. */
export const slams: FakeAnswer = (response) => void response.socket?.destroy();

export interface FakeUpstream {
  /** As `baseUrl`. */
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
  /** Requests not yet answered, and the most there ever were at once. */
  readonly load: { now: number; most: number };
  /** Connections that were ever made. */
  readonly connections: () => number;
}

/** Answers request after request from `script`; its last answer is given to all that follow. */
export async function startFakeUpstream(...script: readonly FakeAnswer[]): Promise<FakeUpstream> {
  const requests: ReceivedRequest[] = [];
  const load = { now: 0, most: 0 };
  const server = createServer((request, response) => {
    const answer = script[Math.min(requests.length, script.length - 1)] ?? slams;
    const parts: Buffer[] = [];
    const closed = Promise.withResolvers<void>();
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      load.now += 1;
      load.most = Math.max(load.most, load.now);
      const received: ReceivedRequest = {
        path: request.url ?? "",
        headers: request.headers,
        body: JSON.parse(Buffer.concat(parts).toString() || "{}") as Record<string, unknown>,
        closed: closed.promise,
        wasAnswered: false,
      };
      requests.push(received);
      response.on("close", () => {
        load.now -= 1;
        received.wasAnswered = response.writableFinished;
        closed.resolve();
      });
      void answer(response, received);
    });
  });
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    load,
    connections: () => connections,
  };
}
