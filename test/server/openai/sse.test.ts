import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import type { AppEnv } from "../../../server/app-env.ts";
import { sseData, sseDone, sseResponse } from "../../../server/openai/sse.ts";

interface Course {
  readonly response: Response;
  readonly ended: Promise<void> | undefined;
  readonly cancelled: () => boolean;
}

const body = { message: "broken", type: "server_error", param: null, code: null };

async function answer(source: AsyncGenerator<string>, keepAliveMs = 0): Promise<Course> {
  let isCancelled = false;
  let ended: Promise<void> | undefined;
  const app = new Hono<AppEnv>();
  app.get("/", async (c) => {
    const response = await sseResponse(c, source, {
      keepAliveMs,
      cancel: () => (isCancelled = true),
      describeError: () => body,
    });
    ended = c.var.streamEnd;
    return response;
  });
  app.onError((error, c) => c.text(error.message, 418));
  return { response: await app.request("/"), ended, cancelled: () => isCancelled };
}

async function* frames(count: number, onPull: (index: number) => void = () => {}, error?: Error) {
  for (let index = 0; index < count; index += 1) {
    onPull(index);
    yield sseData(index);
  }
  if (error !== undefined) throw error;
  yield sseDone;
}

describe("a stream of events", () => {
  it("is the source's frames, one after another, and then closed", async () => {
    const { response, ended } = await answer(frames(3));
    expect(await response.text()).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n");
    await ended;
  });

  it("keeps what is sent on one line, whatever is in it", () => {
    expect(sseData({ text: "a\nb\r\n\u2028" })).toBe('data: {"text":"a\\nb\\r\\n\u2028"}\n\n');
  });

  it("is pulled by its reader: a source is one frame ahead and no more", async () => {
    const pulled: number[] = [];
    const { response } = await answer(frames(100, (index) => pulled.push(index)));
    expect(pulled).toEqual([0]);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.read();
    expect(pulled).toEqual([0, 1]);
  });

  it("throws what its source throws before its first frame", async () => {
    const { response } = await answer(frames(0, undefined, new Error("refused")));
    expect(response.status).toBe(418);
  });

  it("ends in an error event for what its source throws later", async () => {
    const { response, ended } = await answer(frames(1, undefined, new Error("secret")));
    expect(await response.text()).toBe(`data: 0\n\ndata: ${JSON.stringify({ error: body })}\n\n`);
    await ended;
  });

  it("tells its source when the reader leaves, and lets it clean up", async () => {
    let isCleanedUp = false;
    async function* source() {
      try {
        for (;;) yield sseData(0);
      } finally {
        isCleanedUp = true;
      }
    }
    const { response, ended, cancelled } = await answer(source());
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await ended;
    expect([cancelled(), isCleanedUp]).toEqual([true, true]);
  });

  it("breaks a silence with comments and goes on where it was", async () => {
    const gate = Promise.withResolvers<void>();
    async function* source() {
      await gate.promise;
      yield sseDone;
    }
    const { response } = await answer(source(), 5);
    const reader = response.body?.getReader();
    const read = async () => new TextDecoder().decode((await reader?.read())?.value);
    expect(await read()).toBe(": keep-alive\n\n");
    gate.resolve();
    let text = await read();
    while (text.startsWith(":")) text = await read();
    expect(text).toBe(sseDone);
    expect((await reader?.read())?.done).toBe(true);
  });
});
