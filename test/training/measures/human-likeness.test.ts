import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { humanFeatures, styleNames } from "../../../training/measures/human-features.ts";
import { humanProbability, readHumanLikeness, writeHumanLikeness } from "../../../training/measures/human-likeness.ts";
import {
  areaUnderCurve,
  type LabelledQuestion,
  matchLengths,
  trainHumanLikeness,
} from "../../../training/measures/human-training.ts";

const texts = readFileSync(new URL("../../fixtures/quality/human-vs-gpt.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as LabelledQuestion);
const model = trainHumanLikeness("volunteers against GPT", texts);

describe("a classifier fitted on people's and models' texts", () => {
  it("tells held-out ones apart far better than chance, and says on how many", () => {
    const { auc, ceiling, floor, heldOut, trainedOn, isSplitBySource } = model.report;
    expect(auc).toBeGreaterThan(0.7);
    expect(ceiling).toBeGreaterThan(0.6);
    expect(floor).toBeLessThan(0.3);
    expect(isSplitBySource).toBe(true);
    expect(heldOut.human + heldOut.simulated).toBeGreaterThan(30);
    expect(trainedOn.human + trainedOn.simulated + heldOut.human + heldOut.simulated).toBeLessThanOrEqual(texts.length);
  });

  it("is at chance when the labels mean nothing", () => {
    const shuffled = texts.map((question, index) => ({ ...question, isHuman: index % 2 === 0 }));
    const { auc } = trainHumanLikeness("noise", shuffled).report;
    expect(auc).toBeGreaterThan(0.3);
    expect(auc).toBeLessThan(0.7);
  });

  it("comes out the same from the same texts", () => {
    expect(trainHumanLikeness("volunteers against GPT", texts)).toEqual(model);
  });

  it("is the same model after a trip through JSON, in under 100 kB", () => {
    const json = JSON.stringify(writeHumanLikeness(model));
    const restored = readHumanLikeness(JSON.parse(json));
    expect(json.length).toBeLessThan(100_000);
    expect(restored.report).toEqual(model.report);
    for (const { text } of texts) {
      expect(humanProbability(restored.weights, text)).toBe(humanProbability(model.weights, text));
    }
  });
});

it.each([
  [{ format: "other" }, 'Not a human-likeness model: "format"'],
  [{ bias: "1" }, 'Not a human-likeness model: "bias"'],
  [{ styles: [1] }, 'Not a human-likeness model: "styles"'],
  [{ grams: "AAAA" }, 'Not a human-likeness model: "grams": must be 65536 bytes in base64.'],
  [{ report: { ...model.report, auc: 2 } }, 'Not a human-likeness model: "report.auc"'],
])("a broken model file is refused with the field's name: %o", (change, message) => {
  expect(() => readHumanLikeness({ ...writeHumanLikeness(model), ...change })).toThrow(message);
});
it("something else than a model file is refused", () => {
  expect(() => readHumanLikeness([])).toThrow("Not a human-likeness model: the file");
});

it("too few questions of a kind are refused with their number", () => {
  const few = texts.filter(({ isHuman }, index) => isHuman || index % 40 === 0);
  expect(() => trainHumanLikeness("few", few)).toThrow(/^Too few (human|simulated) questions: \d+ to fit on and \d+/);
  expect(() => trainHumanLikeness("none", [])).toThrow("Too few human questions: 0 to fit on and 0 to test on");
});

const size = ({ text }: LabelledQuestion): number => Math.ceil(Math.log2(text.split(" ").length + 1));

it("lengths are matched: neither kind has more of a length than the other", () => {
  const question = fc.record({ words: fc.integer({ min: 1, max: 40 }), isHuman: fc.boolean() });
  fc.assert(
    fc.property(fc.array(question, { maxLength: 60 }), (drawn) => {
      const questions = drawn.map(({ words, isHuman }, index) => ({
        text: Array.from({ length: words }, () => `word${index}`).join(" "),
        isHuman,
        source: `${index}`,
      }));
      for (const group of Map.groupBy(matchLengths(questions), size).values()) {
        expect(group.filter(({ isHuman }) => isHuman)).toHaveLength(group.length / 2);
      }
    }),
  );
});

describe("the area under the curve", () => {
  it.each([
    [[3, 4], [1, 2], 1],
    [[1, 2], [3, 4], 0],
    [[1, 1], [1, 1], 0.5],
    [[2, 3], [1, 2], 0.875],
  ])("%o over %o is %d", (positives, negatives, area) => {
    expect(areaUnderCurve(positives, negatives)).toBe(area);
  });

  it("is the share of pairs in order", () => {
    const values = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(values, values, (positives, negatives) => {
        const wins = positives.flatMap((a) => negatives.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
        const share = wins.reduce<number>((sum, win) => sum + win, 0) / wins.length;
        expect(areaUnderCurve(positives, negatives)).toBeCloseTo(share, 12);
      }),
    );
  });
});

const stylesOf = (text: string): string[] => {
  const { styles } = humanFeatures(text);
  return styleNames.filter((name, index) => styles[index] !== 0 && !/share|length/.test(name));
};

it("style is read as it is named", () => {
  expect(stylesOf("can i ask smth,pls??")).toEqual([
    "end mark",
    "question mark",
    "lower-case i",
    "double blank or mark",
  ]);
  expect(stylesOf("As an AI, I can't. Thank you:\n- **one**")).toEqual([
    "capital first",
    "contraction",
    "politeness",
    "markdown",
    "list",
    "as an AI",
    "more than a line",
  ]);
});
