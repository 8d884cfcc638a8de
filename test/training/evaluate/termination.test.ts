import { describe, expect, it } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import type { Conversation } from "../../../training/conversation.ts";
import { type AskedPlaces, askEndings } from "../../../training/evaluate/ask-endings.ts";
import { terminationFigures } from "../../../training/evaluate/termination.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const never = new AbortController().signal;
const asking = { temperature: 0, seed: 1, areComplete: false };

const conversation = (said: readonly string[], changes: Partial<Conversation> = {}): Conversation => ({
  id: "c",
  group: "c",
  origin: { file: "f", row: 1 },
  system: { user: null, assistant: null },
  utterances: said.map((content, index) => ({ role: index % 2 === 0 ? "user" : "assistant", content })),
  isComplete: true,
  provenance: {},
  ...changes,
});

/** Ends behind "bye", says nothing behind "hm", has no room behind "long", and goes on behind anything else. */
const endingModel = () =>
  scriptedModel({
    info: { id: "ending", role: "user" },
    reply: ({ messages }) => {
      const last = messages.at(-1)?.content;
      if (last === "long") return { refuseWith: new EngineError("context_length_exceeded", "Too long.") };
      if (last === "bye") return { pieces: [], cause: "end_of_conversation" };
      return last === "hm" ? { pieces: [], cause: "end_token" } : { pieces: ["I"], cause: "max_tokens" };
    },
  });

describe("a user model is asked behind every turn of the assistant", () => {
  it("for one token each, shown all that was said before and what the user's side is told", async () => {
    const model = endingModel();
    const dialogue = conversation(["a", "b", "c", "bye"], { system: { user: "Be brief.", assistant: "Help." } });
    expect(await askEndings(model, dialogue, asking, never)).toEqual({
      ends: [false, true],
      isEndKnown: true,
      byToken: 1,
    });
    const requests = model.calls.map(({ request }) => request);
    expect(requests.map(({ messages }) => messages.map(({ content }) => content))).toEqual([
      ["Be brief.", "a", "b"],
      ["Be brief.", "a", "b", "c", "bye"],
    ]);
    expect(requests.map(({ maxTokens, mustSpeak }) => [maxTokens, mustSpeak])).toEqual([
      [1, false],
      [1, false],
    ]);
    expect(model.endedSessions).toEqual(["c"]);
    expect(requests[0]?.sampling.seed).not.toBe(requests[1]?.sampling.seed);
  });

  it("and a turn without a word ends the dialogue too, as it does in self-play", async () => {
    const found = await askEndings(endingModel(), conversation(["a", "hm", "b", "c"]), asking, never);
    expect(found).toEqual({ ends: [true, false], isEndKnown: true, byToken: 0 });
  });

  it("but not behind the last one where nobody knows whether it was the end", async () => {
    const open = conversation(["a", "b", "c", "bye"], { isComplete: false });
    expect(await askEndings(endingModel(), open, asking, never)).toMatchObject({ ends: [false], isEndKnown: false });
    const all = { ...asking, areComplete: true };
    expect(await askEndings(endingModel(), open, all, never)).toMatchObject({ ends: [false, true], isEndKnown: true });
    // The user has the last word: there is no place at which to end.
    const closed = conversation(["a", "bye", "c"]);
    expect(await askEndings(endingModel(), closed, all, never)).toMatchObject({ ends: [true], isEndKnown: false });
  });

  it("and places without room are told apart", async () => {
    const found = await askEndings(endingModel(), conversation(["a", "b", "c", "long"]), asking, never);
    expect(found).toMatchObject({ ends: [false, null], isEndKnown: true });
  });
});

const asked = (ends: readonly (boolean | null)[], isEndKnown = true): AskedPlaces => ({ ends, isEndKnown, byToken: 0 });

describe("termination", () => {
  // By hand: 9 places that were answered, 3 ends of people, 4 of the model, 2 shared.
  const some = [
    asked([false, false, true]),
    asked([true, false, true]),
    asked([false, false]),
    asked([true], false),
    asked([null], true),
  ];

  it("is precision, recall and F1 over all places, and where whole dialogues would end", () => {
    const figures = terminationFigures(some, 1);
    expect(figures).toMatchObject({
      dialogues: 4,
      places: 9,
      humanEnds: 3,
      modelEnds: 4,
      sharedEnds: 2,
      precision: 0.5,
      recall: 2 / 3,
      f1OfAlwaysEnding: 0.5,
      firstEnd: { early: 1, right: 1, never: 1 },
      leftOutPlaces: 1,
    });
    expect(figures.f1?.value).toBeCloseTo(4 / 7, 12);
    expect(figures.f1!.low).toBeLessThan(4 / 7);
    expect(figures.f1!.high).toBeGreaterThan(4 / 7);
    expect(terminationFigures(some, 1)).toEqual(figures);
  });

  it("is 1 for a model that ends where people do, and 0 for one that never ends", () => {
    const all = Array.from({ length: 9 }, (_, index) => asked([...Array.from({ length: index }, () => false), true]));
    expect(terminationFigures(all, 1)).toMatchObject({ precision: 1, recall: 1, f1: { value: 1, low: 1, high: 1 } });
    const mute = all.map(({ ends }) => asked(ends.map(() => false)));
    expect(terminationFigures(mute, 1)).toMatchObject({
      precision: null,
      recall: 0,
      f1: { value: 0 },
      firstEnd: { never: 9 },
    });
  });

  it("has no F1 where nobody ended anything", () => {
    expect(terminationFigures([asked([false, false], false)], 1)).toMatchObject({ places: 2, recall: null, f1: null });
    expect(terminationFigures([], 1)).toMatchObject({ dialogues: 0, f1: null, f1OfAlwaysEnding: null });
  });
});
