// What a round is trained on: every rule takes away what it names, in one order, and the funnel accounts for every dialogue.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_STOP_REASONS,
  FILTER_RULES,
  filterDialogues,
  type FilterOptions,
  type PlayedDialogue,
} from "../../../training/loop/filter.ts";

const lenient: FilterOptions = {
  stopReasons: DEFAULT_STOP_REASONS,
  leastRounds: 1,
  leastCharacters: 0,
  mostCharacters: null,
  without: [],
};

const talk = (id: string, more: Partial<PlayedDialogue> = {}): PlayedDialogue => ({
  id,
  stopReason: "max_turns",
  rounds: 1,
  contents: [`I need a table at ${id} o'clock.`, "Where?"],
  ...more,
});

const long = Array.from({ length: 60 }, (_, index) => `word${index}`).join(" ");

describe("a dialogue is taken away by the first rule that it breaks:", () => {
  test.each([
    ["stop-reason", [talk("a", { stopReason: "error" })], {}],
    ["rounds", [talk("a")], { leastRounds: 2 }],
    ["length", [talk("a", { contents: ["Hi", "Hello"] })], { leastCharacters: 8 }],
    ["length", [talk("a", { contents: ["Hi", "Hello"] })], { mostCharacters: 6 }],
    // An error in one round is told as an error.
    ["stop-reason", [talk("a", { stopReason: "cancelled" })], { leastRounds: 2 }],
  ] as const)("%s", (rule, dialogues, more) => {
    const { keptIds, dropped } = filterDialogues(dialogues, { ...lenient, ...more });
    expect(keptIds).toEqual([]);
    expect(dropped).toEqual([{ id: "a", rule }]);
  });

  test("exact-duplicate, which names the first of its kind", () => {
    const { contents } = talk("a");
    const { keptIds, dropped } = filterDialogues([talk("a"), talk("b", { contents })], lenient);
    expect(keptIds).toEqual(["a"]);
    expect(dropped).toEqual([{ id: "b", rule: "exact-duplicate", repeats: "a" }]);
  });

  test("near-duplicate, which with the exact rule left out takes exact ones as well", () => {
    const dialogues = [
      talk("a", { contents: [long, "Yes."] }),
      talk("b", { contents: [long, "Yes indeed."] }),
      talk("c", { contents: [long, "Yes."] }),
    ];
    expect(filterDialogues(dialogues, lenient).dropped).toEqual([
      { id: "b", rule: "near-duplicate", repeats: "a" },
      { id: "c", rule: "exact-duplicate", repeats: "a" },
    ]);
    expect(filterDialogues(dialogues, { ...lenient, without: ["exact-duplicate"] }).dropped).toEqual([
      { id: "b", rule: "near-duplicate", repeats: "a" },
      { id: "c", rule: "near-duplicate", repeats: "a" },
    ]);
    expect(filterDialogues(dialogues, { ...lenient, without: ["near-duplicate"] }).keptIds).toEqual(["a", "b"]);
  });
});

test("what an earlier rule took away is no original of a later duplicate", () => {
  const { contents } = talk("a");
  const dialogues = [talk("a", { stopReason: "error", contents }), talk("b", { contents })];
  expect(filterDialogues(dialogues, lenient).keptIds).toEqual(["b"]);
});

const anyDialogue = fc.record({
  stopReason: fc.constantFrom("max_turns", "window", "error", "cancelled", "empty_turn"),
  rounds: fc.integer({ min: 0, max: 4 }),
  contents: fc.array(fc.constantFrom("Hi", "I need a taxi.", "Where to?", long), { minLength: 1, maxLength: 3 }),
});
const anyOptions = fc.record({
  stopReasons: fc.subarray(["max_turns", "window", "error", "empty_turn"]),
  leastRounds: fc.integer({ min: 0, max: 3 }),
  leastCharacters: fc.integer({ min: 0, max: 30 }),
  mostCharacters: fc.option(fc.integer({ min: 0, max: 400 })),
  without: fc.subarray([...FILTER_RULES]),
});

const forAny = (property: (dialogues: PlayedDialogue[], options: FilterOptions) => void) =>
  fc.assert(
    fc.property(fc.array(anyDialogue, { maxLength: 12 }), anyOptions, (found, options) =>
      property(
        found.map((dialogue, index) => Object.assign({ id: `d${index}` }, dialogue)),
        options,
      ),
    ),
    { numRuns: 60 },
  );

describe("of any dialogues and any options", () => {
  test("each is kept or dropped once, and the funnel's steps join without a gap", () => {
    forAny((dialogues, options) => {
      const { keptIds, dropped, funnel } = filterDialogues(dialogues, options);
      const all = [...keptIds, ...dropped.map(({ id }) => id)].toSorted();
      expect(all).toEqual(dialogues.map(({ id }) => id).toSorted());
      let left = dialogues.length;
      for (const { rule, in: came, out } of funnel) {
        expect(came).toBe(left);
        expect(came - out).toBe(dropped.filter((one) => one.rule === rule).length);
        left = out;
      }
      expect(left).toBe(keptIds.length);
    });
  });

  test("a rule that is left out neither stands in the funnel nor drops anything", () => {
    forAny((dialogues, options) => {
      const { dropped, funnel } = filterDialogues(dialogues, options);
      for (const rule of options.without) {
        expect(funnel.map((step) => step.rule)).not.toContain(rule);
        expect(dropped.map((one) => one.rule)).not.toContain(rule);
      }
    });
  });

  test("what is kept is kept again: the filter has nothing to add to itself", () => {
    forAny((dialogues, options) => {
      const { keptIds } = filterDialogues(dialogues, options);
      const kept = dialogues.filter(({ id }) => keptIds.includes(id));
      expect(filterDialogues(kept, options).keptIds).toEqual(keptIds);
    });
  });
});
