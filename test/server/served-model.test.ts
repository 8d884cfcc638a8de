// A model that is taken out of service ends what it began, and is closed exactly when nobody uses it any more.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChatEvent, ChatRequest } from "../../runtime/chat-model.ts";
import { createServedModel } from "../../server/served-model.ts";
import { scriptedModel } from "../support/scripted-model.ts";

const never = new AbortController().signal;
const now = { quietMs: 0 };

const request = (fields: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "Hello" }],
  sampling: {
    temperature: 1,
    topP: 1,
    topK: 0,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map(),
    seed: 0,
  },
  choiceIndex: 0,
  maxTokens: null,
  stop: [],
  mustSpeak: false,
  ...fields,
});

async function textOf(events: AsyncIterable<ChatEvent>): Promise<string> {
  let text = "";
  for await (const event of events) if (event.type === "text") text += event.text;
  return text;
}

describe("a retired model", () => {
  it("is closed when the last request has ended, and all of them get all of their text", async () => {
    const inner = scriptedModel({ isStepped: true });
    const served = createServedModel(inner, now);
    const texts = [textOf(served.model.generate(request(), never)), textOf(served.model.generate(request(), never))];
    await inner.called(1);
    const closed = served.retire(() => undefined);
    inner.step(5);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(inner.isClosed).toBe(false);
    inner.step(5);
    expect(await Promise.all(texts)).toEqual(["Hello there.", "Hello there."]);
    await closed;
    expect(inner.isClosed).toBe(true);
  });

  it("is closed when readers leave early, when requests fail, and when they never begin", async () => {
    const inner = scriptedModel({ reply: (_, call) => (call === 1 ? { refuseWith: new Error("no") } : {}) });
    const served = createServedModel(inner, now);
    for await (const event of served.model.generate(request(), never)) if (event.type === "text") break;
    await expect(textOf(served.model.generate(request(), never))).rejects.toThrow("no");
    void served.model.generate(request(), never);
    const iterator = served.model.generate(request(), never)[Symbol.asyncIterator]();
    await iterator.return?.();
    await served.retire(() => undefined);
    expect(inner.isClosed).toBe(true);
  });

  it("stays until a dialogue's session ends, between its turns as well", async () => {
    const inner = scriptedModel();
    const served = createServedModel(inner, now);
    await textOf(served.model.generate(request({ sessionId: "dialogue" }), never));
    const closed = served.retire(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await textOf(served.model.generate(request({ sessionId: "dialogue" }), never))).toBe("Hello there.");
    expect(inner.isClosed).toBe(false);
    served.model.endSession("dialogue");
    await closed;
    expect(inner.endedSessions).toEqual(["dialogue"]);
  });

  it("still answers whoever was given it a moment ago", async () => {
    const inner = scriptedModel();
    const served = createServedModel(inner, { quietMs: 60 });
    served.touch();
    const closed = served.retire(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await textOf(served.model.generate(request(), never))).toBe("Hello there.");
    await closed;
    expect(inner.calls).toHaveLength(1);
  });

  it("once closed, passes on to what took its place, or says that it is gone", async () => {
    const successor = scriptedModel({ info: { modelHash: "new" }, reply: { pieces: ["new"] } });
    const served = createServedModel(scriptedModel(), now);
    await served.retire(() => successor);
    expect(await textOf(served.model.generate(request(), never))).toBe("new");
    expect(served.model.info.modelHash).toBe("new");
    const gone = createServedModel(scriptedModel(), now);
    await gone.retire(() => undefined);
    expect(() => gone.model.generate(request(), never)).toThrow("The model realm is not served any more.");
  });

  it("is closed at once when the server closes, whatever runs", async () => {
    const inner = scriptedModel({ isStepped: true });
    const served = createServedModel(inner, now);
    const text = textOf(served.model.generate(request(), never));
    await inner.called(0);
    const closed = served.retire(() => undefined);
    await served.close();
    expect(inner.isClosed).toBe(true);
    inner.step(5);
    await text;
    await closed;
  });
});

it("whatever comes and goes in whatever order: nothing is refused before the end, and the end comes", async () => {
  const step = fc.constantFrom("ask", "hang up", "session", "end session", "retire", "wait");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const inner = scriptedModel();
      const successor = scriptedModel({ reply: { pieces: ["new"] } });
      const served = createServedModel(inner, now);
      let closed: Promise<void> | null = null;
      const texts: string[] = [];
      for (const [index, name] of steps.entries()) {
        const { model } = served;
        if (name === "ask") texts.push(await textOf(model.generate(request(), never)));
        if (name === "hang up")
          for await (const event of model.generate(request(), never)) if (event.type === "text") break;
        if (name === "session") await textOf(model.generate(request({ sessionId: `${index}` }), never));
        if (name === "end session") for (let session = 0; session < index; session += 1) model.endSession(`${session}`);
        if (name === "retire") closed ??= served.retire(() => successor);
        if (name === "wait") await new Promise(setImmediate);
      }
      for (const index of steps.keys()) served.model.endSession(`${index}`);
      await (closed ?? served.retire(() => successor));
      expect(inner.isClosed).toBe(true);
      expect(texts.filter((text) => text !== "Hello there." && text !== "new")).toEqual([]);
      expect(inner.calls.every(({ phase }) => phase === "ended")).toBe(true);
    }),
    { numRuns: 60 },
  );
});
