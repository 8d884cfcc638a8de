import { readFileSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { humanProbability, readHumanLikeness } from "../../../training/measures/human-likeness.ts";

const path = new URL("../../../models/human-likeness.json", import.meta.url);
const file: unknown = JSON.parse(readFileSync(path, "utf8"));
const { weights, report } = readHumanLikeness(file);

it("the classifier that comes with the gateway names its licence, its origin and how far it carries", () => {
  expect(statSync(path).size).toBeLessThan(100_000);
  expect(file).toMatchObject({ licence: "CC-BY-SA-4.0", origin: expect.stringContaining("Schema-Guided Dialogue") });
  expect(report).toMatchObject({ name: "service-dialogues/1", isSplitBySource: true });
  expect(report.auc).toBeGreaterThan(0.9);
  expect(report.floor).toBeLessThan(report.ceiling);
  const { checks } = file as { checks: readonly { name: string; auc: number }[] };
  expect(checks.length).toBeGreaterThan(4);
  // It cannot tell people from large models, and must not come to claim so without anybody noticing.
  const large = checks.find(({ name }) => name.includes("human-vs-gpt"));
  expect(large?.auc).toBeCloseTo(0.52, 2);
});

it.each([
  [0.9949, "I need to find a movie that I can watch with my kids this weekend."],
  [0.9999, "Nah, that's a bit too pricey. Anything cheaper nearby?"],
  [0.9965, "No, that is all. Thank you!"],
  [0.1528, "I'm going to be leaving from Chicago on March 14th."],
  [0.0161, "Which city are you looking for?"],
  [0.0003, "ok, I found 10 events. How about the Falcons vs Ducks at the Regent Theater?"],
])("its probability is %d: %s", (probability, text) => {
  expect(humanProbability(weights, text)).toBeCloseTo(probability, 4);
});
