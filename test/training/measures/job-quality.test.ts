import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ALARM_MIN_DIALOGUES, alarmsOf } from "../../../training/measures/alarms.ts";
import { trainHumanLikeness } from "../../../training/measures/human-training.ts";
import { RunningQuality } from "../../../training/measures/job-quality.ts";
import { mtldOfText } from "../../../training/measures/mtld.ts";
import type { QualityDialogue, QualitySnapshot } from "../../../training/measures/quality-types.ts";

const tokenizer = { name: "letters/1", countTokens: (text: string) => text.length };
const open = (): RunningQuality => new RunningQuality({ tokenizer });
const dialogue = (id: string, texts: readonly string[], changes: Partial<QualityDialogue> = {}): QualityDialogue => ({
  id,
  turns: texts.map((content, index) => ({ role: index % 2 === 0 ? "user" : "assistant", content })),
  stopReason: "window",
  ...changes,
});
/** Dialogues with nothing in common. */
const various = (count: number, rounds = 3, changes: Partial<QualityDialogue> = {}): QualityDialogue[] =>
  Array.from({ length: count }, (_, index) =>
    dialogue(
      `${index}`,
      Array.from({ length: rounds * 2 }, (_turn, turn) => `subject${index} part${turn} of${index}x${turn} matters`),
      changes,
    ),
  );

describe("the figures of a data set are counted as the paper counts:", () => {
  let snapshot: QualitySnapshot;
  beforeAll(() => {
    const quality = open();
    quality.add(dialogue("a", ["why rust", "because", "and go", "later"], { turnCauses: ["end_token", "max_tokens"] }));
    quality.add(dialogue("b", ["tell tales", "no"], { stopReason: "max_turns" }));
    snapshot = quality.snapshot();
  });

  it("turns are pairs, tokens are over both roles, a session is tokenized as one text without separators", () => {
    expect(snapshot.table5).toMatchObject({
      dialogues: 2,
      turns: 1.5,
      sessionTokens: (26 + 12) / 2,
      utteranceTokens: 38 / 6,
    });
    expect(snapshot.tokens.userUtterance).toMatchObject({ n: 3, mean: 8 });
    expect(snapshot.tokens.assistantUtterance).toMatchObject({ n: 3, max: 7 });
    expect(snapshot.tokens.tokenizer).toBe("letters/1");
  });
  it("MTLD is a plain mean over questions, and over all of them as one text", () => {
    expect(snapshot.mtld).toEqual({
      perQuestion: 2,
      questions: 3,
      longQuestions: { minWords: 50, mean: null, questions: 0 },
      corpus: mtldOfText("why rust and go tell tales"),
      corpusWords: 6,
      wordsBeyondLimit: 0,
    });
  });
  it("stop reasons and the turns' causes are counted", () => {
    expect(snapshot.stopReasons).toEqual({ window: 1, max_turns: 1 });
    expect(snapshot.turnCauses).toEqual({ end_token: 1, max_tokens: 1 });
  });
  it("topics name their encoder", () => {
    expect(snapshot.topic).toMatchObject({ encoder: "hashed-char-3-5-tfidf/1", questions: 3 });
    expect(snapshot.table5.topicMeanCosine).toBe(snapshot.topic.meanCosine);
  });
  it("what was not measured is null", () => {
    expect(snapshot.table5).toMatchObject({ humanRatio: null, complexity: null, relevancy: null, logicality: null });
    expect(snapshot.humanLikeness).toEqual({ questions: 0, ratio: null, classifier: null });
    expect(snapshot.userTurnPerplexity).toEqual([]);
  });
  it("all of it is plain JSON", () => {
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });
});

it("session tokens tell one tokenization from the sum over turns", () => {
  const words = { name: "words/1", countTokens: (text: string) => text.split(" ").length };
  const quality = new RunningQuality({ tokenizer: words });
  quality.add(dialogue("a", ["one two", "three"]));
  expect(quality.snapshot().tokens).toMatchObject({ session: { mean: 2 }, sessionAsSum: { mean: 3 } });
});

it("long questions have a mean of their own", () => {
  const quality = open();
  const long = Array.from({ length: 60 }, (_, index) => `w${"abcdefghij"[index % 10]}${"klmnopq"[index % 7]}`).join(
    " ",
  );
  quality.add(dialogue("a", [long, "fine", "short one", "fine"]));
  expect(quality.snapshot().mtld.longQuestions).toEqual({ minWords: 50, mean: mtldOfText(long), questions: 1 });
});

it("a duplicate counts in the rates and not in the measures", () => {
  const quality = open();
  const long = Array.from({ length: 120 }, (_, index) => `word${index}`).join(" ");
  const first = quality.add(dialogue("a", ["tell me", long]));
  const exact = quality.add(dialogue("b", ["Tell me ", long]));
  const near = quality.add(dialogue("c", ["tell me", `${long} indeed`]));
  const other = quality.add(dialogue("d", ["something", "else altogether"]));
  expect(first).toEqual({ isExactDuplicate: false, isNearDuplicate: false, openerCollision: false, duplicateOf: null });
  expect(exact).toEqual({ isExactDuplicate: true, isNearDuplicate: false, openerCollision: true, duplicateOf: "a" });
  expect(near).toEqual({ isExactDuplicate: false, isNearDuplicate: true, openerCollision: true, duplicateOf: "a" });
  expect(other.openerCollision).toBe(false);
  const { dialogues, rates, turns } = quality.snapshot();
  expect(dialogues).toEqual({ seen: 4, kept: 2, empty: 0, exactDuplicates: 1, nearDuplicates: 1, uncompared: 0 });
  expect(turns.n).toBe(2);
  expect(rates.exactDuplicates.rate).toBe(0.25);
  expect(rates.openerCollisions).toEqual({ count: 2, of: 4, rate: 0.5 });
});

it("adding the same id again changes nothing and gives the same verdict", () => {
  const quality = open();
  quality.add(dialogue("a", ["one", "two"]));
  const verdict = quality.add(dialogue("b", ["one", "two"]));
  const before = quality.snapshot();
  expect(quality.add(dialogue("b", ["three", "four"]))).toEqual(verdict);
  expect(quality.snapshot()).toBe(before);
});

it("given turns are not the simulator's: they open nothing, and repeating them is a repeat", () => {
  const quality = open();
  const given = { givenTurns: 2, seedKey: "item 1" };
  quality.add(dialogue("a", ["seed question", "answer", "my own words", "fine"], given));
  const again = quality.add(
    dialogue("b", ["seed question", "answer", "seed question", "fine", "more fish", "ok"], given),
  );
  expect(again.openerCollision).toBe(false);
  const { rates, turns } = quality.snapshot();
  expect(rates.verbatimRepeats).toEqual({ count: 1, of: 3, rate: 1 / 3 });
  expect(turns.max).toBe(3);
});

it("an empty dialogue is counted and measured nowhere", () => {
  const quality = open();
  quality.add(dialogue("a", [], { stopReason: "error" }));
  quality.add(dialogue("b", [], { stopReason: "error" }));
  const { dialogues, rates, stopReasons, turns } = quality.snapshot();
  expect(dialogues).toEqual({ seen: 2, kept: 0, empty: 2, exactDuplicates: 0, nearDuplicates: 0, uncompared: 0 });
  expect(rates.shortDialogues.rate).toBeNull();
  expect(stopReasons).toEqual({ error: 2 });
  expect(turns.n).toBe(0);
});

it("refused drafts are set against all drafts", () => {
  const quality = open();
  quality.add(dialogue("a", ["one", "two", "three", "four"], { rejectedDrafts: 3 }));
  expect(quality.snapshot().rates.guardrailRejects).toEqual({ count: 3, of: 5, rate: 0.6 });
});

it("the human ratio comes with what the classifier is worth", () => {
  const questions = Array.from({ length: 200 }, (_, index) => ({
    text: index % 2 === 0 ? `hey how do i fix number ${index}` : `Please explain the concept ${index}.`,
    isHuman: index % 2 === 0,
    source: `${index}`,
  }));
  const humanLikeness = trainHumanLikeness("toy", questions);
  const quality = new RunningQuality({ tokenizer, humanLikeness });
  quality.add(
    dialogue("a", ["hey how do i fix it", "so", "hey how do i do it", "so", "Please explain the concept.", "so"]),
  );
  const snapshot = quality.snapshot();
  expect(snapshot.humanLikeness).toEqual({ questions: 3, ratio: 2 / 3, classifier: humanLikeness.report });
  expect(humanLikeness.report).toMatchObject({ auc: 1, ceiling: 1, floor: 0 });
  expect(snapshot.table5.humanRatio).toBe(2 / 3);
});

it("judges' marks fill Table 5 while there is one judge, and stay apart when there are two", () => {
  const quality = open();
  const scores = { complexity: 8, relevancy: 9, logicality: 10 };
  quality.addJudgement({ judge: "a", dialogueId: "1", seed: 0, scores, outcome: "scored" });
  expect(quality.snapshot().table5).toMatchObject(scores);
  quality.addJudgement({ judge: "b", dialogueId: "1", seed: 0, scores, outcome: "scored" });
  expect(quality.snapshot().table5.complexity).toBeNull();
  expect(quality.snapshot().judges).toHaveLength(2);
});

it("user-turn perplexity is of the scores handed in, a dialogue's once, and every model's apart", () => {
  const quality = open();
  const half = { tokens: 2, logProbability: 2 * Math.log(0.5) };
  const first = { dialogueId: "1", model: "a", modelHash: "x", turns: [half, half] };
  for (const scored of [first, first, { ...first, dialogueId: "2", turns: null }]) quality.addScores(scored);
  quality.addScores({ ...first, modelHash: "y", turns: [{ tokens: 1, logProbability: Math.log(0.25) }] });
  expect(quality.snapshot().userTurnPerplexity).toEqual([
    { model: "a", modelHash: "x", value: expect.closeTo(2, 9), tokens: 4, turns: 2, dialogues: 1, unscored: 1 },
    { model: "a", modelHash: "y", value: expect.closeTo(4, 9), tokens: 1, turns: 1, dialogues: 1, unscored: 0 },
  ]);
});

it("built again from the same dialogues in the same order it says the same", () => {
  const text = fc.constantFrom("why", "how so", "tell me about cats", "and dogs", "tell me about Cats");
  const turns = fc.array(text, { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(turns, { maxLength: 12 }), fc.nat({ max: 12 }), (drawn, crashAt) => {
      const dialogues = drawn.map((texts, index) => dialogue(`${index}`, texts));
      const undisturbed = open();
      const verdicts = dialogues.map((one) => undisturbed.add(one));
      const crashed = open();
      for (const one of dialogues.slice(0, crashAt)) crashed.add(one);
      crashed.snapshot();
      const rebuilt = open();
      expect(dialogues.map((one) => rebuilt.add(one))).toEqual(verdicts);
      expect(rebuilt.snapshot()).toEqual(undisturbed.snapshot());
    }),
    { numRuns: 40 },
  );
});

const codesOf = (dialogues: readonly QualityDialogue[]): string[] => {
  const quality = open();
  for (const one of dialogues) quality.add(one);
  return quality.snapshot().alarms.map(({ code }) => code);
};

describe("alarms", () => {
  it("are silent on various dialogues of some length", () => {
    expect(codesOf(various(40))).toEqual([]);
  });
  it("are silent before there is enough to judge", () => {
    expect(codesOf(various(ALARM_MIN_DIALOGUES - 1, 1))).toEqual([]);
  });
  it("name dialogues of one or two rounds, with their share and the limit", () => {
    const quality = open();
    for (const one of [...various(10, 3), ...various(30, 2).slice(10)]) quality.add(one);
    expect(quality.snapshot().alarms).toEqual([
      {
        code: "short_dialogues",
        value: 2 / 3,
        limit: 0.44,
        message: "Dialogues end after one or two rounds: 20 of 30 (66.7 %, limit 44.0 %).",
      },
    ]);
  });
  it("name openers and whole dialogues that come again", () => {
    const same = various(30).map(({ id }) =>
      dialogue(id, ["what is rust", "iron oxide", "is iron a metal", "yes", "is gold", "yes"]),
    );
    expect(codesOf(same)).toEqual(["duplicates", "opener_collisions", "questions_asked_elsewhere"]);
  });
  it("name questions that say nothing, and those said before", () => {
    const generic = various(30).map(({ id, turns }, index) =>
      dialogue(id, [
        turns[0]?.content ?? "",
        `one ${index}`,
        "tell me more",
        `two ${index}`,
        "Tell me more",
        `three ${index}`,
      ]),
    );
    expect(codesOf(generic)).toEqual(["verbatim_repeats", "questions_asked_elsewhere", "generic_questions"]);
  });
  it("name users who speak as assistants", () => {
    const polite = various(30).map(({ id, turns }, index) =>
      dialogue(id, [
        ...turns.map(({ content }) => content),
        `Part ${index} is done. How can I help you today?`,
        "Well",
      ]),
    );
    expect(codesOf(polite)).toEqual(["assistant_phrases"]);
  });
  it("name guard-rails that refuse a lot", () => {
    expect(codesOf(various(30, 3, { rejectedDrafts: 2 }))).toEqual(["guardrail_rejects"]);
  });
  it("name questions that pass for a person's no more often than a simulator's", () => {
    const quality = open();
    for (const one of various(20)) quality.add(one);
    const { humanLikeness: _, ...figures } = quality.snapshot();
    const counts = { human: 10, simulated: 10 };
    const classifier = {
      name: "c",
      trainedOn: counts,
      heldOut: counts,
      isSplitBySource: true,
      auc: 0.9,
      ceiling: 0.8,
      floor: 0.2,
    };
    const at = (ratio: number) => alarmsOf({ ...figures, humanLikeness: { questions: 60, ratio, classifier } });
    expect(at(0.21)).toEqual([]);
    expect(at(0.2)).toMatchObject([{ code: "human_likeness_at_floor", value: 0.2, limit: 0.2 }]);
  });
});

it("near duplicates of dialogues beyond a limit are not found, exact ones are", () => {
  const quality = new RunningQuality({ tokenizer, limits: { comparedDialogues: 3, corpusWords: 1000 } });
  const some = various(5, 40);
  const again = some.map(({ turns }, index) => ({ ...some[index]!, id: `again ${index}`, turns }));
  const nearly = some.map(({ turns }, index) => {
    const [first, ...rest] = turns;
    return {
      ...some[index]!,
      id: `nearly ${index}`,
      turns: [{ ...first!, content: `${first!.content} now` }, ...rest],
    };
  });
  for (const each of some) quality.add(each);
  expect(again.map((each) => quality.add(each).duplicateOf)).toEqual(["0", "1", "2", "3", "4"]);
  expect(nearly.map((each) => quality.add(each).duplicateOf)).toEqual(["0", "1", "2", null, null]);
  expect(quality.snapshot().dialogues).toMatchObject({ kept: 7, uncompared: 4, nearDuplicates: 3, exactDuplicates: 5 });
});
