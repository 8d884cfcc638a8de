import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ALARM_MIN_DIALOGUES, alarmLimits } from "../../../training/measures/alarms.ts";
import { hashedGramEncoder } from "../../../training/measures/encoder.ts";
import { styleNames } from "../../../training/measures/human-features.ts";
import { RunningQuality } from "../../../training/measures/job-quality.ts";

const page = readFileSync(new URL("../../../docs/quality.md", import.meta.url), "utf8");

it("the page on quality gives the limits of the alarms", () => {
  const written = Array.from(page.matchAll(/^\| `(\w+)` \| ([\d.]+) \|/gm), ([, code, limit]) => [code, Number(limit)]);
  expect(Object.fromEntries(written)).toEqual(alarmLimits);
  expect(page).toContain(`from ${ALARM_MIN_DIALOGUES} dialogues on`);
});

it("the page on quality names every rate, every column, the encoder and the number of habits", () => {
  const quality = new RunningQuality({ tokenizer: { name: "none", countTokens: () => 0 } });
  const { rates, table5 } = quality.snapshot();
  const { dialogues: _, ...columns } = table5;
  const missing = [...Object.keys(rates), ...Object.keys(columns)].filter((name) => !page.includes(`\`${name}\``));
  expect(missing).toEqual([]);
  expect(page).toContain(`\`${hashedGramEncoder().name}\``);
  expect(page).toContain(`${styleNames.length} habits of style`);
});
