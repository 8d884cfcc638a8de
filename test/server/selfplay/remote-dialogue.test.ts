// Reading a gateway's stream: every way in which bytes can be cut, and every way in which a gateway can let one down.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { playRemotely, readServerSentData, RemoteError } from "../../../server/selfplay/remote-dialogue.ts";

let close = async () => {};
afterEach(() => close());

/** Serves one listener and returns its address. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  close = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function collect(url: string, signal = new AbortController().signal): Promise<unknown[]> {
  return Array.fromAsync(playRemotely(url, { seed: 1 }, "key", signal));
}

test("events are read whatever the cuts between packets", async () => {
  const text = 'data: {"text":"é😀"}\r\n\r\n: keep-alive\n\ndata:second\ndata: line\n\ndata: [DONE]\n\n';
  const bytes = new TextEncoder().encode(text);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 12 }), async (cuts) => {
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const chunks = bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end));
      const read = await Array.fromAsync(readServerSentData(ReadableStream.from(chunks)));
      expect(read).toEqual(['{"text":"é😀"}', "second\nline", "[DONE]"]);
    }),
  );
});

test("a dialogue is asked for as a stream at its endpoint, with the key", async () => {
  const asked: unknown[] = [];
  const url = await serve((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      asked.push([request.method, request.url, request.headers.authorization, JSON.parse(body)]);
      response.end('data: {"type":"turn_start"}\n\ndata: [DONE]\n\n');
    });
  });
  for (const base of [url, `${url}/`, `${url}/v1`, `${url}/v1/`]) {
    expect(await collect(base)).toEqual([{ type: "turn_start" }]);
  }
  const expected = ["POST", "/v1/selfplay/dialogues", "Bearer key", { seed: 1, stream: true }];
  expect(asked).toEqual([expected, expected, expected, expected]);
});

test.each<[string, RequestListener, RegExp]>([
  [
    "an error before the stream",
    (_, response) => response.writeHead(404).end('{"error":{"message":"No such model."}}'),
    /^No such model\.$/,
  ],
  [
    "an error inside the stream",
    (_, response) => response.end('data: {"type":"token"}\n\ndata: {"error":{"message":"Out of luck."}}\n\n'),
    /^Out of luck\.$/,
  ],
  ["a stream cut short", (_, response) => response.end('data: {"type":"token"}\n\n'), /broke off before its end/],
  ["another kind of server", (_, response) => response.writeHead(500).end("<html>"), /status 500 and no JSON/],
  ["JSON of another kind", (_, response) => response.writeHead(500).end("{}"), /answered with status 500/],
  ["a stream of something else", (_, response) => response.end("data: <html>\n\n"), /sent what is not JSON/],
])("%s is one sentence", async (_, listener, says) => {
  const failure = await collect(await serve(listener)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(RemoteError);
  expect((failure as Error).message).toMatch(says);
});

test("an address that is none, or where nobody listens, is one sentence", async () => {
  await expect(collect("localhost")).rejects.toThrow(/--url must be an address/);
  await expect(collect("http://127.0.0.1:1")).rejects.toThrow(/http:\/\/127\.0\.0\.1:1 cannot be reached: /);
});

test("leaving the loop hangs up", async () => {
  const hangUp = Promise.withResolvers<void>();
  const url = await serve((_, response) => {
    response.on("close", hangUp.resolve);
    response.write('data: {"type":"turn_start"}\n\n');
  });
  for await (const event of playRemotely(url, {}, undefined, new AbortController().signal)) {
    expect(event).toEqual({ type: "turn_start" });
    break;
  }
  await hangUp.promise;
});
