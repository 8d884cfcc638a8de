// Owns the HTTP server around the app: what node:http refuses before the app sees it, requests in flight, timeouts.
// It does not listen and does not know what the app answers.
import { type IncomingMessage, type Server, STATUS_CODES, type ServerResponse, createServer } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { newRequestId } from "./middleware/request-id.ts";
import { ApiError } from "./openai/error.ts";

type Fetch = Parameters<typeof getRequestListener>[0];

export interface HttpServer {
  readonly server: Server;
  /** Resolves as soon as no request is being answered. */
  readonly idle: () => Promise<void>;
}

/** Longer than the idle time of common load balancers, so that they and not we close a connection they may reuse. */
const keepAliveTimeoutMs = 75_000;

const parserErrors: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "The request's headers are too large."],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "The request's chunk extensions are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "The request did not arrive in time."],
};

/** A server that answers with `fetch` and, where a request is no HTTP at all, in OpenAI's error shape by itself. */
export function createHttpServer(fetch: Fetch): HttpServer {
  const listener = getRequestListener(fetch, {
    overrideGlobalObjects: false,
    // Before the app: a Host header or a target that makes no URL.
    errorHandler: (error) => {
      const reason = error instanceof Error ? error.message : "unreadable request";
      const { headers, body } = errorAnswer(400, `Invalid request: ${reason}.`);
      return new Response(body, { status: 400, headers });
    },
  });
  const inFlight = new Map<ServerResponse, Socket>();
  let whenIdle: (() => void)[] = [];

  const server = createServer({ requireHostHeader: false, keepAliveTimeout: keepAliveTimeoutMs });
  server.on("request", (incoming: IncomingMessage, outgoing: ServerResponse) => {
    inFlight.set(outgoing, incoming.socket);
    outgoing.once("close", () => {
      inFlight.delete(outgoing);
      if (inFlight.size > 0) return;
      for (const resolve of whenIdle) resolve();
      whenIdle = [];
    });
    void listener(incoming, outgoing);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    // What another request's answer is being written to cannot carry a second one.
    const isBusy = [...inFlight.values()].includes(socket);
    if (error.code === "ECONNRESET" || !socket.writable || isBusy) socket.destroy();
    else socket.end(rawAnswer(...(parserErrors[error.code ?? ""] ?? [400, "The request is not valid HTTP."])));
  });
  server.on("checkExpectation", (_incoming, outgoing: ServerResponse) => {
    const { headers, body } = errorAnswer(417, "The server cannot meet the request's Expect header.");
    outgoing.writeHead(417, { ...headers, connection: "close" }).end(body);
  });

  return {
    server,
    idle: () => (inFlight.size === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve))),
  };
}

function errorAnswer(status: number, message: string) {
  const body = JSON.stringify({ error: new ApiError(status, message).body });
  const headers = {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "x-request-id": newRequestId(),
  };
  return { headers, body };
}

function rawAnswer(status: number, message: string): string {
  const { headers, body } = errorAnswer(status, message);
  const lines = Object.entries({ ...headers, connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`;
}
