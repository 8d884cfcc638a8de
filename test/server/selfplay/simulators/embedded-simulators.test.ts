// The repository's own two models under the simulators: real text, the same every time, and nothing computed twice.
import { afterAll, beforeAll, expect, test } from "vitest";
import { validate } from "../../../../server/openai/validation.ts";
import { selfplaySchema } from "../../../../server/selfplay/schema.ts";
import { toPromptedSimulation } from "../../../../server/selfplay/simulators/simulation-request.ts";
import { type EmbeddedPair, openEmbeddedPair } from "../embedded-pair.ts";
import { transcript } from "../play.ts";
import { simulate } from "./simulate.ts";

let pair: EmbeddedPair;
beforeAll(async () => {
  pair = await openEmbeddedPair({ slotsPerModel: 4, contextWindowCap: 512 });
});
afterAll(() => pair.catalog.close());

let played = 0;
async function run(body: object) {
  played += 1;
  const { simulator, request } = toPromptedSimulation(validate(selfplaySchema, body), pair.catalog, `dlg_${played}`);
  return (await simulate(simulator, request)).dialogue;
}

test.each([
  ["learned, free", {}],
  ["learned, seeded with a question", { prompt: "I would like to book a table for two." }],
  ["learned, profile", { mode: "profile", prompt: "You are looking for a hotel in London." }],
  ["pre-query", { simulator: "prequery", max_turns: 3 }],
])("%s: whole rounds of text, the same for the same seed, another for another", async (_, fields) => {
  const body = { seed: 5, max_turns: 3, guardrails: true, ...fields };
  const first = await run(body);
  expect(first.turns.length).toBeGreaterThan(0);
  expect(first.turns.at(-1)?.role).toBe("assistant");
  for (const { content } of first.turns) {
    expect(content.trim()).not.toBe("");
    expect(content).not.toMatch(/<\|\w*\|>|\ufffd/);
  }
  expect(transcript(await run(body))).toEqual(transcript(first));
  expect(transcript(await run({ ...body, seed: 6 }))).not.toEqual(transcript(first));
});

test("pre-query computes every token of the dialogue once for each part that the model plays", async () => {
  const before = pair.computedTokens("realm", "prefill") + pair.computedTokens("realm", "decode");
  const { turns, usage } = await run({ seed: 9, simulator: "prequery", max_turns: 4 });
  const computed = pair.computedTokens("realm", "prefill") + pair.computedTokens("realm", "decode") - before;
  const longest = turns.at(-1)?.origin?.usage.promptTokens ?? 0;
  const reported = usage.user.prefilledTokens + usage.assistant.prefilledTokens;
  expect(turns.length).toBeGreaterThan(2);
  // Both sides hold the dialogue once: what one says is read once by the other.
  expect(reported).toBeLessThan(2 * longest);
  expect(computed).toBeLessThan(3 * longest + usage.user.completionTokens + usage.assistant.completionTokens);
});

test("guard-rails hold in the data: no question twice, none beyond its words", async () => {
  for (const seed of [21, 22, 23]) {
    const guardrails = { min_words: 2, max_words: 12, redraws: 8 };
    const { turns, discarded, stopReason } = await run({ seed, max_turns: 6, guardrails });
    const questions = turns.filter(({ role }) => role === "user").map(({ content }) => content.toLowerCase());
    expect(new Set(questions).size).toBe(questions.length);
    for (const question of questions) {
      expect(question.split(/\s+/).length).toBeGreaterThanOrEqual(2);
      expect(question.split(/\s+/).length).toBeLessThanOrEqual(12);
    }
    const refused = discarded.filter(({ rejection }) => rejection !== undefined);
    expect(stopReason === "guardrails_exhausted" ? refused.length : 9).toBeGreaterThanOrEqual(9);
  }
});

test("the better of two answers stays, and the other is on record", async () => {
  const { turns } = await run({ seed: 3, max_turns: 2, best_of: { n: 2, judge: "realm", retries: 0 } });
  const answers = turns.filter(({ role }) => role === "assistant");
  expect(answers.length).toBeGreaterThan(0);
  for (const { origin } of answers) expect(origin?.choice?.losers).toHaveLength(1);
});
