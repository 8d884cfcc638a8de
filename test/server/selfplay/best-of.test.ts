// Answers picked from several samples, and dialogues that a judge or a budget ends.
import { expect, test } from "vitest";
import type { ChatRequest } from "../../../runtime/chat-model.ts";
import { defaultGuardrails } from "../../../server/selfplay/guardrails.ts";
import type { Dialogue } from "../../../server/selfplay/dialogue-types.ts";
import { toWireDialogue } from "../../../server/selfplay/wire.ts";
import { transcript } from "./play.ts";
import { noStopRules, simulate, simulatedRequest } from "./simulators/simulate.ts";
import { type Script, SpellingModel } from "./spelling-model.ts";

const judgeOf = (script: Script) => ({ model: new SpellingModel("assistant", script, 100_000), retries: 1 });
const choiceOf = (dialogue: Dialogue, turn: number) => dialogue.turns[turn]?.origin?.choice;
const oneRound = (answers: Script, judge: ReturnType<typeof judgeOf>, count = 3) => {
  const user = new SpellingModel("user", ["Why?"]);
  const assistant = new SpellingModel("assistant", answers);
  return { assistant, request: simulatedRequest(user, assistant, { bestOf: { count, judge }, maxTurns: 1 }) };
};

test("the answer that the judge picks stays; the others are on record as preference pairs", async () => {
  const judge = judgeOf(["[[2]]"]);
  const { assistant, request } = oneRound(["Ah.", "Because.", "Hm."], judge);
  const { dialogue, events } = await simulate("learned", request);
  expect(transcript(dialogue)).toEqual(["U: Why?", "A: Because."]);
  expect(choiceOf(dialogue, 1)).toEqual({
    picked: 1,
    pickedBy: "judge",
    losers: [
      expect.objectContaining({ choiceIndex: 0, content: "Ah.", cause: "end_token" }),
      expect.objectContaining({ choiceIndex: 2, content: "Hm.", cause: "end_token" }),
    ],
    judge: {
      model: "realm",
      promptHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      reply: "[[2]]",
      usage: { promptTokens: judge.model.prompts[0]?.length, cachedTokens: 0, completionTokens: "[[2]]".length + 1 },
    },
  });
  expect(assistant.requests.map(({ choiceIndex }) => choiceIndex)).toEqual([0, 1, 2]);
  expect(new Set(assistant.requests.map(({ sampling }) => sampling.seed)).size).toBe(1);
  const said = events.flatMap((event) => (event.type === "token" && event.role === "assistant" ? [event.text] : []));
  expect(said.join("")).toBe("Because.");
  // What it cost is the cost of all samples, and the prompt was computed once.
  const { assistant: usage } = dialogue.usage;
  expect(usage.completionTokens).toBe("Ah.Because.Hm.".length + 3);
  expect(usage.prefilledTokens).toBe(assistant.prompts[0]?.length);
});

test("the judge reads the question and the answers in the order they were sampled, and is asked at temperature 0", async () => {
  const judge = judgeOf(["1"]);
  const { request } = oneRound(["Ah.", "Because."], judge, 2);
  await simulate("learned", request);
  const asked = judge.model.requests[0];
  const [message] = asked?.messages ?? [];
  expect(message?.content).toMatch(
    /#\[Human's question\]#\nWhy\?[^]*#\[Answer 1\]#\nAh\.[^]*#\[Answer 2\]#\nBecause\./,
  );
  expect(asked?.sampling.temperature).toBe(0);
});

test("a sample that cannot stand is never picked, and one alone needs no judge", async () => {
  const judge = judgeOf([]);
  const { request } = oneRound(["", "Because.", " "], judge);
  const { dialogue } = await simulate("learned", request);
  expect(transcript(dialogue)).toEqual(["U: Why?", "A: Because."]);
  expect(choiceOf(dialogue, 1)).toMatchObject({ picked: 1, pickedBy: "only", judge: null });
});

test("of samples that can stand, the judge numbers only those", async () => {
  const { request } = oneRound(["", "Ah.", "Because."], judgeOf(["[[2]]"]));
  const { dialogue } = await simulate("learned", request);
  expect(choiceOf(dialogue, 1)).toMatchObject({ picked: 2, pickedBy: "judge" });
});

test("a judge that cannot be read is asked again, and then the first sample stays", async () => {
  const judge = judgeOf(["both", "[[7]]"]);
  const { request } = oneRound(["Ah.", "Because."], judge, 2);
  const { dialogue } = await simulate("learned", request);
  expect(judge.model.requests).toHaveLength(2);
  expect(choiceOf(dialogue, 1)).toMatchObject({ picked: 0, pickedBy: "fallback", judge: { reply: "[[7]]" } });
});

test("a judge whose window is too small picks nothing and ends nothing", async () => {
  const narrow = { model: new SpellingModel("assistant", () => "1", 10), retries: 1 };
  const user = new SpellingModel("user", ["Why?"]);
  const assistant = new SpellingModel("assistant", ["Ah.", "Because."]);
  const stopRules = { ...noStopRules, judge: { ...narrow, fromTurn: 1 } };
  const request = simulatedRequest(user, assistant, { bestOf: { count: 2, judge: narrow }, stopRules, maxTurns: 1 });
  const { dialogue } = await simulate("learned", request);
  expect(choiceOf(dialogue, 1)).toMatchObject({ picked: 0, pickedBy: "fallback" });
  expect(dialogue.stopReason).toBe("max_turns");
});

test("later turns go on from the answer that stayed, by its own ids", async () => {
  const user = new SpellingModel("user", ["Why?", "So?"]);
  const assistant = new SpellingModel("assistant", ["Ah.", "Because.", "One.", "Two."]);
  const bestOf = { count: 2, judge: judgeOf(["[[2]]", "[[1]]"]) };
  const { dialogue } = await simulate("learned", simulatedRequest(user, assistant, { bestOf, maxTurns: 2 }));
  expect(transcript(dialogue)).toEqual(["U: Why?", "A: Because.", "U: So?", "A: One."]);
  expect(assistant.requests[2]?.messages[1]).toMatchObject({ tokenIds: dialogue.turns[1]?.origin?.tokenIds });
});

/** All of the turns that does not depend on what was in the cache. */
const contentOf = ({ turns }: Dialogue) =>
  turns.map(({ content, origin }) => {
    const { picked, losers } = origin?.choice ?? { picked: null, losers: [] };
    return [content, origin?.seed, picked, losers.map((loser) => loser.content)];
  });

/** What is said depends on the seed alone, as with a model, and every third question has been asked before. */
const byItsSeed = ({ sampling, choiceIndex }: ChatRequest) => `${sampling.seed % 3}${choiceIndex}`;

function verdictOf({ messages }: ChatRequest): string {
  const asked = messages[0]?.content ?? "";
  if (asked.includes("[[1]]")) return "[[2]]";
  return asked.split("#[Human's question]#").length > 3 ? "[[stop]]" : "[[continue]]";
}

function ruledRequest() {
  const judge = judgeOf(verdictOf);
  const models = [new SpellingModel("user", byItsSeed), new SpellingModel("assistant", byItsSeed)] as const;
  return simulatedRequest(...models, {
    seed: 3,
    bestOf: { count: 2, judge },
    stopRules: { ...noStopRules, judge: { ...judge, fromTurn: 1 } },
    guardrails: { ...defaultGuardrails, redraws: 20 },
  });
}

test("resumed after any turn, guard-rails, choices and judge rule as if it had never stopped", async () => {
  const { dialogue } = await simulate("learned", ruledRequest());
  expect([dialogue.stopReason, dialogue.turns.length]).toEqual(["judge", 6]);
  expect(dialogue.discarded.length).toBeGreaterThan(0);
  for (let kept = 1; kept <= dialogue.turns.length; kept += 1) {
    const resumed = await simulate("learned", { ...ruledRequest(), past: dialogue.turns.slice(0, kept) });
    expect(resumed.dialogue.stopReason).toBe("judge");
    expect(contentOf(resumed.dialogue)).toEqual(contentOf(dialogue));
    expect(resumed.dialogue.usage.assistant.completionTokens).toBe(dialogue.usage.assistant.completionTokens);
  }
});

test("on the wire a choice is part of the trace, ids only if asked for", async () => {
  const { request } = oneRound(["Ah.", "Because."], judgeOf(["[[2]]"]), 2);
  const { dialogue } = await simulate("learned", request);
  const choice = (hasTokenIds: boolean) => {
    const wire = toWireDialogue(dialogue, { format: "openai", createdAtS: 0, hasTokenIds });
    return (wire["trace"] as { choice?: { rejected: object[] } }[])[1]?.choice;
  };
  expect(choice(false)).toMatchObject({ picked: 1, picked_by: "judge", rejected: [{ index: 0, content: "Ah." }] });
  expect(choice(false)?.rejected[0]).not.toHaveProperty("token_ids");
  expect(choice(true)?.rejected[0]).toHaveProperty("token_ids");
});

test("a judge ends the dialogue after the round in which it sees nothing left to say, and is not asked before its turn", async () => {
  const user = new SpellingModel("user", (_, call) => `Why ${call}?`);
  const assistant = new SpellingModel("assistant", () => "So.");
  const judge = judgeOf(["[[continue]]", "no idea", "nor now", "It is over: [[stop]]"]);
  const stopRules = { ...noStopRules, judge: { ...judge, fromTurn: 2 } };
  const { dialogue } = await simulate("learned", simulatedRequest(user, assistant, { stopRules }));
  expect([dialogue.stopReason, dialogue.stoppedBy, dialogue.turns.length]).toEqual(["judge", null, 8]);
});

test("a budget ends the dialogue after the round in which it is spent, losers counted", async () => {
  const user = new SpellingModel("user", (_, call) => `${call}abcdefgh`); // 10 tokens with its end
  const assistant = new SpellingModel("assistant", (_, call) => (call % 2 === 0 ? "aaaaaaaaa" : "bbbbbbbbb"));
  const judge = judgeOf(() => "[[1]]");
  const stopRules = { ...noStopRules, maxDialogueTokens: 60 };
  const request = simulatedRequest(user, assistant, { stopRules, bestOf: { count: 2, judge } });
  const { dialogue } = await simulate("learned", request);
  expect([dialogue.stopReason, dialogue.turns.length]).toEqual(["budget", 4]);
});
