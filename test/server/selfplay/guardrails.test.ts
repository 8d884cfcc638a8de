// Guard-rails: which questions are refused and why, and that a refused one is drawn anew, kept apart, and never part of the data.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DialogueEvent } from "../../../server/selfplay/dialogue-types.ts";
import { defaultGuardrails, objectionOf } from "../../../server/selfplay/guardrails.ts";
import { turnSeed } from "../../../server/selfplay/seeds.ts";
import { toWireDialogue, toWireEvent } from "../../../server/selfplay/wire.ts";
import { transcript } from "./play.ts";
import { noStopRules, simulate, simulatedRequest } from "./simulators/simulate.ts";
import { SpellingModel } from "./spelling-model.ts";

const strict = {
  ...defaultGuardrails,
  bannedFirstWords: ["I", "You", "Here"],
  minWords: 3,
  maxWords: 8,
  hasPolitenessCheck: true,
};

test.each([
  ["", "empty"],
  [" \n…", "empty"],
  ["<think>They want a hotel.</think> A hotel?", "reasoning_leak"],
  ["As an AI, I cannot travel there.", "reasoning_leak"],
  ["As a language model I have no taste.", "reasoning_leak"],
  ["I'm an AI assistant, how so?", "reasoning_leak"],
  ["User: what is next on it?", "reasoning_leak"],
  ["Fine.\n**Assistant**: here you are", "reasoning_leak"],
  ["[Human] what is next on it?", "reasoning_leak"],
  ["Okay, the user wants a hotel", "reasoning_leak"],
  ["what then?<|im_end|>", "reasoning_leak"],
  ["I want to go there", "first_word"],
  ["I'm going to the sea", "first_word"],
  ['"You go there with me', "first_word"],
  ["Why so?", "too_short"],
  ["one two three four five six seven eight nine", "too_long"],
  ["where  is The\nHotel?", "repeat"],
  ["Thank you so much for all the help!", "over_polite"],
  ["That's great, thanks! Have a nice day!", "over_polite"],
])("%j is refused: %s", (question, reason) => {
  expect(objectionOf(question, strict, ["Where is the hotel?"])).toBe(reason);
});

test.each([
  "Inside the hotel, is there a pool?",
  "Is the assistant: really there?",
  "Thanks! Where is the pool then?",
  "Thank you, book it for two nights",
  "What does an AI model think?",
  "i want to go there",
  "日本 へ 行きたい です",
])("%j passes", (question) => {
  expect(objectionOf(question, strict, ["Where is the hotel?"])).toBeNull();
});

test("each check can be switched off, and then nothing is refused", () => {
  const off = {
    bannedFirstWords: [],
    minWords: null,
    maxWords: null,
    hasRepeatCheck: false,
    hasLeakCheck: false,
    hasEmptyCheck: false,
    hasPolitenessCheck: false,
    redraws: 0,
  };
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(objectionOf(text, off, [text])).toBeNull();
    }),
  );
});

test("a question said before is always refused, however it is spaced and cased", () => {
  const words = fc.array(fc.constantFrom("where", "is", "THE", "hotel?"), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(words, fc.constantFrom(" ", "  ", "\n"), (list, space) => {
      const again = ` ${list.join(space).toUpperCase()} `;
      expect(objectionOf(again, defaultGuardrails, [list.join(" ")])).toBe("repeat");
    }),
  );
});

test("a refused question is drawn anew with a seed of its own, told as refused, and kept out of both models' past", async () => {
  const user = new SpellingModel("user", ["Hm?", "Hm?", "As an AI, no.", "Why?"]);
  const assistant = new SpellingModel("assistant", ["Yes.", "So."]);
  const request = simulatedRequest(user, assistant, { guardrails: defaultGuardrails, maxTurns: 2 });
  const { dialogue, events } = await simulate("learned", request);
  expect(transcript(dialogue)).toEqual(["U: Hm?", "A: Yes.", "U: Why?", "A: So."]);
  expect(dialogue.discarded.map(({ content, rejection }) => [content, rejection])).toEqual([
    ["Hm?", "repeat"],
    ["As an AI, no.", "reasoning_leak"],
  ]);
  const seeds = user.requests.map(({ sampling }) => sampling.seed);
  expect(seeds.slice(1)).toEqual(
    [0, 1, 2].map((draw) => turnSeed(7, { dialogueIndex: 0, turn: 2, role: "user", draw })),
  );
  expect(new Set(seeds).size).toBe(4);
  expect(assistant.requests.flatMap(({ messages }) => messages.map(({ content }) => content))).not.toContain(
    "As an AI, no.",
  );
  const refused = events.filter((event) => "rejection" in event);
  expect(refused.map((event) => event.type)).toEqual(["turn_end", "turn_discarded", "turn_end", "turn_discarded"]);
  // A draw anew costs no prompt: all but the last token of it is in the cache.
  expect(dialogue.usage.user.prefilledTokens).toBeLessThan(
    2 * (dialogue.turns.at(-2)?.origin?.usage.promptTokens ?? 0),
  );
});

test("when no draw passes, the dialogue ends on its last whole round, and every draft is on record", async () => {
  const user = new SpellingModel("user", ["Hm?", "Hm?", "hm?", "HM?"]);
  const assistant = new SpellingModel("assistant", ["Yes."]);
  const guardrails = { ...defaultGuardrails, redraws: 2 };
  const { dialogue } = await simulate("learned", simulatedRequest(user, assistant, { guardrails }));
  expect([dialogue.stopReason, dialogue.stoppedBy]).toEqual(["guardrails_exhausted", "user"]);
  expect(transcript(dialogue)).toEqual(["U: Hm?", "A: Yes."]);
  expect(dialogue.discarded.map(({ content, rejection }) => [content, rejection])).toEqual([
    ["Hm?", "repeat"],
    ["hm?", "repeat"],
    ["HM?", "repeat"],
  ]);
  const wire = toWireDialogue(dialogue, { format: "openai", createdAtS: 0, hasTokenIds: false });
  expect(wire["discarded"]).toEqual([0, 1, 2].map(() => expect.objectContaining({ rejection: "repeat" })));
});

test.each([
  { end: "max_turns", questions: ["Hm?", "Hm?", "As an AI, no.", "Why?", ""], answers: ["Yes.", "So."] },
  { end: "guardrails_exhausted", questions: ["Hm?", "Hm?", "hm?", "HM?"], answers: ["Yes."] },
  { end: "empty_turn", questions: ["As an AI, no.", "Why?"], answers: [" "] },
])("resumed after any draft, nothing is drawn twice, up to the end by '$end'", async ({ end, questions, answers }) => {
  const open = (asked: number, answered: number) => ({
    ...simulatedRequest(
      new SpellingModel("user", questions.slice(asked)),
      new SpellingModel("assistant", answers.slice(answered)),
      { guardrails: { ...defaultGuardrails, redraws: 2 }, maxTurns: 2 },
    ),
  });
  const whole = await simulate("learned", open(0, 0));
  expect(whole.dialogue.stopReason).toBe(end);
  const told = turnEnds(whole.events);
  expect(told.some(({ isKept }) => !isKept)).toBe(true);
  for (let done = 1; done <= told.length; done += 1) {
    const said = told.slice(0, done);
    const asked = said.filter(({ role }) => role === "user").length;
    const resumed = await simulate("learned", {
      ...open(asked, done - asked),
      past: said.filter(({ isKept }) => isKept),
      drafts: said.slice(said.findLastIndex(({ isKept }) => isKept) + 1),
    });
    expect(turnEnds(resumed.events).map(withoutUsage)).toEqual(told.slice(done).map(withoutUsage));
    expect(resumed.dialogue.stopReason).toBe(end);
    expect(transcript(resumed.dialogue)).toEqual(transcript(whole.dialogue));
  }
});

/** As a store would hold them. */
function turnEnds(events: readonly DialogueEvent[]) {
  return events.flatMap((event) => {
    if (event.type !== "turn_end") return [];
    const { role, turn, content, isKept, cause, seed, usage, tokenIds, rejection } = event;
    const origin = { cause, seed, usage, tokenIds };
    return [{ role, turn, content, isKept, origin, ...(rejection === undefined ? {} : { rejection }) }];
  });
}

/** What is computed again is another matter: a resumed side begins with an empty cache. */
function withoutUsage({ origin, ...turn }: ReturnType<typeof turnEnds>[number]) {
  return { ...turn, seed: origin.seed, tokenIds: origin.tokenIds, cause: origin.cause };
}

test("the intent may not be said word for word", async () => {
  const user = new SpellingModel("user", ["you want a tent.", "A tent?"]);
  const assistant = new SpellingModel("assistant", ["Yes."]);
  const base = simulatedRequest(user, assistant, { guardrails: defaultGuardrails, maxTurns: 1, mode: "intent" });
  const request = { ...base, user: { ...base.user, system: "You want a tent." } };
  const { dialogue } = await simulate("learned", request);
  expect(transcript(dialogue)).toEqual(["U: A tent?", "A: Yes."]);
});

test("an empty turn is drawn anew, one that ends the conversation is not", async () => {
  const user = new SpellingModel("user", ["", "Hm?", { text: "", cause: "end_of_conversation" }]);
  const assistant = new SpellingModel("assistant", ["Yes."]);
  const { dialogue } = await simulate("learned", simulatedRequest(user, assistant, { guardrails: defaultGuardrails }));
  expect(transcript(dialogue)).toEqual(["U: Hm?", "A: Yes."]);
  expect(dialogue.discarded.map(({ rejection }) => rejection ?? null)).toEqual(["empty", null]);
  expect(dialogue.stopReason).toBe("end_token");
});

test("where no side may end the conversation, words before the end token are an ordinary turn", async () => {
  const user = new SpellingModel("user", [{ text: "Hm?", cause: "end_of_conversation" }, "So?"]);
  const assistant = new SpellingModel("assistant", ["Yes.", "Well."]);
  const stopRules = { ...noStopRules, hasEndToken: false };
  const { dialogue } = await simulate("learned", simulatedRequest(user, assistant, { stopRules, maxTurns: 2 }));
  expect(transcript(dialogue)).toEqual(["U: Hm?", "A: Yes.", "U: So?", "A: Well."]);
  expect([...user.requests, ...assistant.requests].every(({ mustSpeak }) => mustSpeak)).toBe(true);
});

test("on the wire a refused turn carries its reason, any other turn has no such field", async () => {
  const user = new SpellingModel("user", ["", "Hm?"]);
  const assistant = new SpellingModel("assistant", ["Yes."]);
  const request = simulatedRequest(user, assistant, { guardrails: defaultGuardrails, maxTurns: 1 });
  const { events } = await simulate("learned", request);
  const options = { format: "openai", createdAtS: 0, hasTokenIds: false } as const;
  const told = events.map((event) => toWireEvent("dlg", event, options));
  expect(told.flatMap((event) => ("rejection" in event ? [[event["type"], event["rejection"]]] : []))).toEqual([
    ["turn_end", "empty"],
    ["turn_discarded", "empty"],
  ]);
});
