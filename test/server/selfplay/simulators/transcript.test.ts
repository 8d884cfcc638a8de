// Reading a transcript that a model wrote in one go.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseTranscript } from "../../../../server/selfplay/simulators/transcript.ts";

test.each([
  ["nothing before the first human line counts", "Sure!\n[AI] Hm.\n[Human] a\n[AI] b\n[Human] c", [["a", "b"]]],
  ["the last human line never counts, answered or not", "[Human] a\n[AI] b\n[Human] c\n[AI] d", [["a", "b"]]],
  ["a question without an answer ends it", "[Human] a\n[Human] b\n[AI] c\n[Human] d", []],
  [
    "a question with two answers ends it",
    "[Human] a [AI] b\n[Human] c [AI] d [AI] e\n[Human] f [AI] g\n[Human]",
    [["a", "b"]],
  ],
  ["an empty line ends it", "[Human] a [AI] b [Human] [AI] d [Human] e", [["a", "b"]]],
  ["no labels, no rounds", "Hello there.", []],
])("%s", (_, text, rounds) => {
  expect(parseTranscript(text).map(({ user, assistant }) => [user, assistant])).toEqual(rounds);
});

test("what was written by the rules is read back, save the last round", () => {
  const words = fc.constantFrom("why?", "so it is.", "a b", "(AI) no label", "Human: x");
  fc.assert(
    fc.property(fc.array(fc.record({ user: words, assistant: words }), { minLength: 1, maxLength: 6 }), (rounds) => {
      const text = rounds.map(({ user, assistant }) => `[Human] ${user}\n[AI] ${assistant}\n`).join("");
      expect(parseTranscript(text)).toEqual(rounds.slice(0, -1));
    }),
  );
});
