import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../server/config.ts";
import { startServer } from "../../server/main.ts";
import {
  captureLog,
  hello,
  readCompletion,
  readError,
  readEvents,
  scriptedCatalog,
  testConfig,
} from "../support/app-harness.ts";
import { listen, rawChat, readUntil, send } from "../support/listening.ts";
import { sampled, scriptedModel } from "../support/scripted-model.ts";

const json = { "content-type": "application/json" };
const chat = (url: string, fields: object = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: json,
    body: JSON.stringify({ model: "realm", messages: hello, ...fields }),
  });

describe("a client that hangs up frees its sequence at the next step", () => {
  it.each([
    ["prefill", false, "destroy"],
    ["prefill", true, "destroy"],
    ["decode", false, "destroy"],
    ["decode", true, "destroy"],
    ["decode", false, "end"],
    ["decode", true, "end"],
  ] as const)("in %s, streamed %s, by %s", async (phase, stream, way) => {
    const model = scriptedModel({ isStepped: true });
    const { lines, port, url } = await listen({ models: [model] });
    const socket = await send(port, rawChat({ stream }));
    const call = await model.called(0);
    if (phase === "decode") {
      model.step(2);
      await sampled(call, 1);
    }
    socket[way]();
    await call.ended;
    expect(call.cancelledIn).toBe(phase);
    await expect.poll(() => lines).toMatchObject([{ message: "request", outcome: "abort" }]);
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/realchat_requests_total\{.*outcome="abort"\} 1/);
  });

  it("and a hundred of them leave nothing running", async () => {
    const model = scriptedModel({ isStepped: true });
    const { port, url } = await listen({ models: [model] });
    const sockets = await Promise.all(
      Array.from({ length: 100 }, (_, index) => send(port, rawChat({ stream: index % 2 === 0 }))),
    );
    await model.called(99);
    for (const socket of sockets) socket.destroy();
    await Promise.all(model.calls.map((call) => call.ended));
    expect(model.calls.every((call) => call.cancelledIn === "prefill")).toBe(true);
    model.step(5);
    await readCompletion(await chat(url));
  });

  it("before its body has arrived, which is no error of the server", async () => {
    const model = scriptedModel();
    const { lines, port } = await listen({ models: [model] });
    const text = rawChat();
    const socket = await send(port, text.slice(0, -10));
    await delay(20);
    socket.destroy();
    await expect.poll(() => lines).toMatchObject([{ status: 499 }]);
    expect(model.calls).toHaveLength(0);
  });
});

describe("connections", () => {
  it("serve one request after another, streams included", async () => {
    const { port } = await listen();
    const socket = await send(port, rawChat({ stream: true }));
    expect(await readUntil(socket, /\[DONE\]\n\n\r\n0\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    socket.write(rawChat());
    expect(await readUntil(socket, /"total_tokens":6.*\}$/)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it("that send one request behind another get both answers in order", async () => {
    const { port } = await listen();
    const socket = await send(port, rawChat({ stream: true }) + rawChat());
    const text = await readUntil(socket, /"object":"chat\.completion",[^]*\}$/);
    expect(text.indexOf("[DONE]")).toBeLessThan(text.indexOf(`"object":"chat.completion",`));
  });

  it("a reader that stops for a while loses nothing", async () => {
    const pieces = Array.from({ length: 20_000 }, (_, index) => ` piece-${index}`);
    const { url } = await listen({ models: [scriptedModel({ reply: { pieces } })] });
    const response = await chat(url, { stream: true });
    await delay(200);
    const texts = (await readEvents(response)).slice(0, -1).map((event) => {
      const [choice] = (JSON.parse(event) as { choices: { delta: { content?: string } }[] }).choices;
      return choice?.delta.content ?? "";
    });
    expect(texts.join("")).toBe(pieces.join(""));
  });

  it("events leave the server as they come, not when the answer is complete", async () => {
    const model = scriptedModel({ isStepped: true });
    const { port } = await listen({ models: [model] });
    const socket = await send(port, rawChat({ stream: true }));
    await model.called(0);
    model.step();
    await readUntil(socket, /"role":"assistant"/);
    model.step();
    expect(await readUntil(socket, /"content":"Hello"/)).not.toContain(" there");
    model.step(3);
    await readUntil(socket, /\[DONE\]/);
  });
});

/** A request without a body. */
const get = (line: string, ...headers: string[]) => `${[line, ...headers].join("\r\n")}\r\n\r\n`;

describe("what is not even HTTP is answered in OpenAI's shape", () => {
  it.each([
    ["no HTTP", "hello there\r\n\r\n", 400],
    ["an unknown method", get("BREW /v1/models HTTP/1.1", "Host: x"), 400],
    ["an unknown version", get("GET /health HTTP/9.9", "Host: x"), 400],
    ["a header that is none", get("GET /health HTTP/1.1", "Host: x", "no colon"), 400],
    ["headers without end", get("GET /health HTTP/1.1", "Host: x", `X-Large: ${"x".repeat(20_000)}`), 431],
    [
      "two lengths",
      get("POST /v1/chat/completions HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2"),
      400,
    ],
    ["a length that is none", get("POST /v1/chat/completions HTTP/1.1", "Host: x", "Content-Length: -1"), 400],
    ["no host", get("GET /health HTTP/1.1", "Connection: close"), 400],
    ["a host that is none", get("GET /health HTTP/1.1", "Host: a b/c", "Connection: close"), 400],
    ["a target that is none", get("GET //[ HTTP/1.1", "Host: x", "Connection: close"), 404],
    ["a backslash in the path", get("GET /v1\\models HTTP/1.1", "Host: x", "Connection: close"), 400],
    ["an expectation nobody meets", get("GET /health HTTP/1.1", "Host: x", "Expect: miracles"), 417],
  ])("%s", async (_, text, status) => {
    const { port, url } = await listen();
    const answer = await readUntil(await send(port, text), "close");
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    const headers = Object.fromEntries(
      head
        .split("\r\n")
        .slice(1)
        .map((line) => line.split(": ", 2)),
    );
    await readError(new Response(body, { status, headers }));
    await readCompletion(await chat(url));
  });

  it("a chunk that is none, after a request has begun, is cut off without an error of the server", async () => {
    const { port, url } = await listen();
    const head = get(
      "POST /v1/chat/completions HTTP/1.1",
      "Host: x",
      "Transfer-Encoding: chunked",
      "Content-Type: application/json",
    );
    const answer = await readUntil(await send(port, `${head}zz\r\n`), "close");
    expect(answer === "" || /^HTTP\/1\.1 4\d\d /.test(answer)).toBe(true);
    await readCompletion(await chat(url));
  });

  it("a body above the limit is told so while it is still being sent", async () => {
    const { url } = await listen({ config: { maxBodyBytes: 10_000 } });
    for (const duplex of [false, true]) {
      const bytes = new Uint8Array(8_000_000).fill(0x20);
      const body = duplex ? new Blob([bytes]).stream() : bytes;
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: json,
        body,
        duplex: "half",
      });
      expect(await readError(response)).toMatchObject({ status: 413 });
    }
  });
});

describe("draining", () => {
  it("lets what runs finish, refuses what comes, then closes the models", async () => {
    const model = scriptedModel({ isStepped: true });
    const { drain, url } = await listen({ models: [model], config: { drainTimeoutS: 60 } });
    const running = chat(url, { stream: true });
    await model.called(0);
    model.step(2);
    const response = await running;
    const drained = drain();

    const refused = await chat(url);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await readError(refused)).toMatchObject({ status: 503 });
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect(model.isClosed).toBe(false);

    model.step(3);
    expect((await readEvents(response)).at(-1)).toBe("[DONE]");
    await drained;
    expect(model.isClosed).toBe(true);
    await expect(fetch(`${url}/health`)).rejects.toThrow("fetch failed");
  });

  it.each([true, false])("ends what does not finish in time with an error (streamed %s)", async (stream) => {
    const model = scriptedModel({ isStepped: true });
    const { drain, lines, url } = await listen({ models: [model] });
    const running = chat(url, { stream });
    const call = await model.called(0);
    model.step(2);
    await sampled(call, 1);
    const drained = drain();
    const response = await running;
    const text = await response.text();
    expect(response.status).toBe(stream ? 200 : 503);
    expect(text).toContain(
      `{"error":{"message":"The server is shutting down. Please retry your request.","type":"server_error","param":null,"code":null}}`,
    );
    expect(text).not.toContain("[DONE]");
    await drained;
    expect(call.cancelledIn).toBe("decode");
    expect(lines.at(-1)).toMatchObject({ message: "stopped" });
  });

  it("does not wait for idle connections", async () => {
    const { drain, port } = await listen({ config: { drainTimeoutS: 60 } });
    const socket = await send(port, rawChat());
    await readUntil(socket, /total_tokens/);
    const closed = once(socket, "close");
    socket.resume();
    await drain();
    expect(await closed).toEqual([false]);
  });

  it("does not wait for a client that has stopped reading", { timeout: 15_000 }, async () => {
    const pieces = Array.from({ length: 200_000 }, () => "a long piece of text that nobody will ever read");
    const { drain, port } = await listen({ models: [scriptedModel({ reply: { pieces } })] });
    const socket = await send(port, rawChat({ stream: true }));
    socket.pause();
    await delay(300);
    await expect(drain()).resolves.toBeUndefined();
  });
});

describe("an address that cannot be had is one sentence, and the models are closed again", () => {
  it.each([
    ["in use", (port: number) => ({ port }), /^Port \d+ on 127\.0\.0\.1 is in use: .*--port\.$/],
    ["of another machine", () => ({ host: "192.0.2.1" }), /^192\.0\.2\.1 is no address of this machine: .*--host\.$/],
  ])("%s", async (_, over, sentence) => {
    const { port } = await listen();
    const model = scriptedModel();
    const starting = startServer(
      testConfig(over(port)),
      () => Promise.resolve(scriptedCatalog([model])),
      captureLog().log,
      new AbortController().signal,
    );
    await expect(starting).rejects.toThrow(sentence);
    await expect(starting).rejects.toBeInstanceOf(ConfigError);
    expect(model.isClosed).toBe(true);
  });
});
