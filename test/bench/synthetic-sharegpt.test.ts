import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { Funnel } from "../../training/clean/funnel.ts";
import { PREPARE_FLAGS, toPrepareOptions } from "../../training/prepare/flags.ts";
import { prepare } from "../../training/prepare/prepare.ts";
import { writeSharegpt } from "./synthetic-sharegpt.ts";

const bytes = 2_500_000;

async function written(seed: number, name: string): Promise<{ file: string; text: string }> {
  const folder = await mkdtemp(join(tmpdir(), "synthetic-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, name);
  await writeSharegpt(file, bytes, seed);
  return { file, text: await readFile(file, "utf8") };
}

it("made-up sessions are the same for the same seed, and others for another", async () => {
  const [first, again, other] = [await written(1, "a"), await written(1, "b"), await written(2, "c")];
  expect(again.text === first.text).toBe(true);
  expect(other.text === first.text).toBe(false);
  expect(first.text.length).toBeGreaterThan(bytes * 0.8);
});

it("made-up sessions are all read, and give every rule of the paper something to do", async () => {
  const { file } = await written(1, "rows.jsonl");
  const { values } = parseArgs({ args: ["--keep-rule", "near-duplicates"], options: PREPARE_FLAGS });
  const funnel = new Funnel();
  for await (const _ of prepare(
    [file],
    toPrepareOptions(values, () => {}),
    funnel,
    new AbortController().signal,
  ));
  const idle = funnel.steps.filter((step) => step.in === step.out && step.changed === 0).map(({ rule }) => rule);
  // Nothing is scraped on Windows, and splitting was not asked for.
  expect(idle).toEqual(["line-ends", "one-utterance-segment"]);
  expect(funnel.rows.broken).toBe(0);
  const left = funnel.result.sessions / funnel.rows.conversations;
  expect(left).toBeGreaterThan(0.4);
  expect(left).toBeLessThan(0.7);
});
