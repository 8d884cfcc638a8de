// Owns what is measured of a round's dialogues: the paper's Table 5 and what belongs to it, over all that were played and over those
// that were kept, by the measures of `npm run stats`. It does not know how they came about.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Funnel } from "../clean/funnel.ts";
import { type HumanLikenessModel, readHumanLikeness } from "../measures/human-likeness.ts";
import type { QualitySnapshot } from "../measures/quality-types.ts";
import { prepare } from "../prepare/prepare.ts";
import { measure, statsLimits } from "../stats/measure.ts";
import { tokenizerOfModel } from "../stats/tokenizer.ts";
import type { StepResult } from "./record.ts";
import type { LoopModel, Run } from "./run.ts";
import { jsonText, sha256Of, writeWhole } from "./whole-file.ts";

/** What stands in measures.json. */
export interface RoundMeasures {
  readonly played: QualitySnapshot;
  readonly kept: QualitySnapshot;
}

const classifierFile = join(import.meta.dirname, "..", "..", "models", "human-likeness.json");

/** Measures both files; tokens are the assistant's. All names are within the run folder. */
export async function measureRound(
  run: Run,
  assistant: LoopModel,
  { played, kept, to }: { readonly played: string; readonly kept: string; readonly to: string },
  signal: AbortSignal,
): Promise<StepResult> {
  const classifier = await readFile(classifierFile, "utf8").catch(() => null);
  const options = {
    tokenizer: await tokenizerOfModel(assistant.folder),
    humanLikeness: classifier === null ? null : readHumanLikeness(JSON.parse(classifier)),
    limits: statsLimits,
    judgeSample: 0,
    groupOf: null,
  };
  const measures: RoundMeasures = {
    played: await snapshotOf(join(run.folder, played), options, signal),
    kept: await snapshotOf(join(run.folder, kept), options, signal),
  };
  const sha256 = await writeWhole(join(run.folder, to), jsonText(measures));
  const facts = { humanLikenessSha256: classifier === null ? null : sha256Of(classifier) };
  return { outputs: { [to]: sha256 }, facts };
}

async function snapshotOf(
  file: string,
  options: Parameters<typeof measure>[1] & { readonly humanLikeness: HumanLikenessModel | null },
  signal: AbortSignal,
): Promise<QualitySnapshot> {
  const prepared = prepare(
    [file],
    {
      format: "selfplay",
      store: { data: null, url: null },
      rules: new Set(),
      selfplayRules: new Set(),
      language: "eng",
      split: null,
      holdout: 0,
      seed: 0,
      limit: null,
      onBroken: ({ row }, reason) => {
        throw new Error(`${file}, row ${row}: ${reason}`);
      },
    },
    new Funnel(),
    signal,
  );
  const [measured] = await measure(prepared, options);
  if (measured === undefined) throw new Error(`${file} was not measured`);
  return measured.quality.snapshot();
}
