import { describe, expect, it } from "vitest";
import type { ChatRequest } from "../../../runtime/chat-model.ts";
import { EngineError } from "../../../runtime/errors.ts";
import { runChoices } from "../../../server/openai/choices.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const sampling = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map<number, number>(),
  seed: 1,
};
const requests = (count: number): ChatRequest[] =>
  Array.from({ length: count }, (_, choiceIndex) => ({
    messages: [],
    sampling,
    choiceIndex,
    maxTokens: null,
    stop: [],
    mustSpeak: false,
  }));

describe("choices run side by side", () => {
  it("and are told in the order in which they speak, each from its beginning to its end", async () => {
    const model = scriptedModel({ reply: (_, index) => ({ pieces: Array.from({ length: index }, () => "x") }) });
    const told: Record<number, string[]> = {};
    for await (const batch of runChoices(model, requests(4), new AbortController().signal)) {
      for (const { index, event } of batch) (told[index] ??= []).push(event.type);
    }
    for (const index of [0, 1, 2, 3]) {
      expect(told[index]).toEqual(["prompt", ...Array.from({ length: index }, () => "text"), "end"]);
    }
  });

  it("and go on while nobody looks: what they said meanwhile comes at once", async () => {
    const model = scriptedModel();
    const events = runChoices(model, requests(1), new AbortController().signal);
    await events.next();
    await model.calls[0]?.ended;
    expect((await events.next()).value).toHaveLength(4);
  });

  it("and all end when the signal aborts, with its reason", async () => {
    const model = scriptedModel({ isStepped: true });
    const client = new AbortController();
    const events = runChoices(model, requests(3), client.signal);
    const next = events.next();
    await model.called(2);
    client.abort(new Error("gone"));
    await expect(next).rejects.toThrow("gone");
    await Promise.all(model.calls.map((call) => call.ended));
    expect(model.calls.map((call) => call.cancelledIn)).toEqual(["prefill", "prefill", "prefill"]);
  });

  it("and all end when one fails, with its error and no event of the others", async () => {
    const model = scriptedModel({
      reply: (_, index) => (index === 2 ? { refuseWith: new EngineError("queue_full", "full") } : {}),
    });
    const events = runChoices(model, requests(3), new AbortController().signal);
    await expect(events.next()).rejects.toThrow("full");
    await Promise.all(model.calls.map((call) => call.ended));
    expect(model.calls).toHaveLength(2);
  });

  it("and what came before a failure is told before it, once something has been told", async () => {
    const failAfter = { pieces: 2, error: new Error("lost") };
    const model = scriptedModel({ isStepped: true, reply: { failAfter } });
    const events = runChoices(model, requests(1), new AbortController().signal);
    const first = events.next();
    await model.called(0);
    model.step();
    expect((await first).value).toHaveLength(1);
    model.step(2);
    await model.calls[0]?.ended;
    expect((await events.next()).value).toHaveLength(2);
    await expect(events.next()).rejects.toThrow("lost");
  });

  it("and all end when the loop is left early", async () => {
    const model = scriptedModel({ isStepped: true });
    const loop = async () => {
      for await (const batch of runChoices(model, requests(2), new AbortController().signal))
        if (batch.length > 0) break;
    };
    const left = loop();
    await model.called(1);
    model.step();
    await left;
    await Promise.all(model.calls.map((call) => call.ended));
    expect(model.calls.map((call) => call.cancelledIn)).toEqual(["decode", "prefill"]);
  });

  it("and are not even asked for when the signal has aborted already", async () => {
    const model = scriptedModel();
    await expect(runChoices(model, requests(1), AbortSignal.abort(new Error("late"))).next()).rejects.toThrow("late");
    expect(model.calls).toHaveLength(0);
  });
});
