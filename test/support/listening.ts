// The server over scripted models, on a real port, closed when the test ends; and sockets to speak to it byte by byte.
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { expect, onTestFinished } from "vitest";
import type { Config } from "../../server/config.ts";
import { startServer } from "../../server/main.ts";
import { captureLog, hello, scriptedCatalog, testConfig } from "./app-harness.ts";
import { type ScriptedModel, scriptedModel } from "./scripted-model.ts";

interface ListenOptions {
  readonly models?: readonly ScriptedModel[];
  readonly config?: Partial<Config>;
}

/** Listens on a free port of this machine. */
export async function listen({ models = [scriptedModel()], config }: ListenOptions = {}) {
  const captured = captureLog();
  const settings = testConfig({ drainTimeoutS: 0, ...config });
  const { url, drain } = await startServer(
    settings,
    () => Promise.resolve(scriptedCatalog(models)),
    captured.log,
    new AbortController().signal,
  );
  // What it says of its start is of no interest to a test of requests.
  captured.lines.length = 0;
  let draining: Promise<void> | undefined;
  const drainOnce = () => (draining ??= drain());
  onTestFinished(drainOnce);
  const port = Number(new URL(url).port);
  return { url, port, drain: drainOnce, ...captured };
}

/** A chat request as it goes over the wire. */
export function rawChat(fields: object = {}): string {
  const body = JSON.stringify({ model: "realm", messages: hello, ...fields });
  const head = ["POST /v1/chat/completions HTTP/1.1", "Host: test", "Content-Type: application/json"];
  return `${[...head, `Content-Length: ${Buffer.byteLength(body)}`].join("\r\n")}\r\n\r\n${body}`;
}

/** A connection that has sent `text`; destroyed when the test ends. */
export async function send(port: number, text: string | Uint8Array): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  socket.write(text);
  return socket;
}

/** Everything the server says until `pattern` is in it, or until it closes the connection. */
export async function readUntil(socket: Socket, pattern: RegExp | "close"): Promise<string> {
  let text = "";
  socket.setEncoding("utf8");
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    text += String(piece);
    if (pattern !== "close" && pattern.test(text)) return text;
  }
  if (pattern !== "close") expect(text).toMatch(pattern);
  return text;
}
