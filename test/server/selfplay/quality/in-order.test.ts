import fc from "fast-check";
import { expect, it } from "vitest";
import { QualityInOrder } from "../../../../server/selfplay/quality/in-order.ts";
import { RunningQuality } from "../../../../server/selfplay/quality/job-quality.ts";
import type { QualityDialogue } from "../../../../server/selfplay/quality/quality-types.ts";

const open = (): RunningQuality =>
  new RunningQuality({ tokenizer: { name: "letters/1", countTokens: (text) => text.length } });

it("the order in which dialogues finish changes neither verdicts nor figures", () => {
  const opener = fc.constantFrom("why is grass green", "Why is grass green?", "what is rust", "how tall are trees");
  const runs = fc
    .array(fc.option(opener, { freq: 5 }), { minLength: 1, maxLength: 12 })
    .chain((openers) =>
      fc.tuple(fc.constant(openers), fc.shuffledSubarray([...openers.keys()], { minLength: openers.length })),
    );
  fc.assert(
    fc.property(runs, ([openers, order]) => {
      const dialogues = openers.map((content, index): QualityDialogue | null =>
        content === null ? null : { id: `${index}`, turns: [{ role: "user", content }], stopReason: "window" },
      );
      const plain = open();
      const expected = dialogues.map((one, index) => ({ index, verdict: one && plain.add(one) }));
      const quality = open();
      const ordered = new QualityInOrder(quality);
      const settled = order.flatMap((index) => ordered.add(index, dialogues[index] ?? null));
      expect(settled).toEqual(expected);
      expect(ordered.heldBack).toBe(0);
      expect(quality.snapshot()).toEqual(plain.snapshot());
    }),
  );
});

const dialogue = (id: string): QualityDialogue => ({ id, turns: [], stopReason: "error" });

it("a dialogue waits for those before it, and counts once", () => {
  const ordered = new QualityInOrder(open());
  expect(ordered.add(1, dialogue("b"))).toEqual([]);
  expect(ordered.add(1, dialogue("again"))).toEqual([]);
  expect(ordered.heldBack).toBe(1);
  expect(ordered.add(0, null).map(({ index, verdict }) => [index, verdict === null])).toEqual([
    [0, true],
    [1, false],
  ]);
  expect(ordered.add(0, dialogue("late"))).toEqual([]);
});
