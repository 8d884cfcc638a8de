// Owns the first step of a round: a self-play job between the round's models, and its dialogues as a file.
// It does not know what they are good for.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { toLine } from "./dialogue-line.ts";
import type { Surroundings } from "./gateway.ts";
import { openGateway } from "./gateway.ts";
import type { StepResult } from "./record.ts";
import type { LoopModels, Run } from "./run.ts";
import { dialoguesOf, findOrCreateJob, untilEnded } from "./selfplay-job.ts";
import { writeWhole } from "./whole-file.ts";

/** Plays the dialogues of a round and writes them to `path`, a name within the run folder. A job that was begun before goes on. */
export async function playRound(
  run: Run,
  round: number,
  models: LoopModels,
  path: string,
  surroundings: Surroundings & {
    readonly onProgress: (done: number, total: number) => void;
    readonly onSelfplayJob?: (id: string) => void;
  },
  signal: AbortSignal,
): Promise<StepResult> {
  const { options } = run;
  const gateway = await openGateway(run, models, surroundings, signal);
  try {
    const body = {
      ...run.selfplay,
      ...(options.maxTurns === null ? {} : { max_turns: options.maxTurns }),
      count: options.count,
      user: models.user.id,
      assistant: models.assistant.id,
      seed: roundSeed(options.seed, round),
    };
    const { id } = await findOrCreateJob(gateway, body, { loop: run.runId, round: String(round) }, signal);
    surroundings.onSelfplayJob?.(id);
    const ended = await untilEnded(
      gateway,
      id,
      ({ dialogue_counts: { completed, failed, total } }) => surroundings.onProgress(completed + failed, total),
      signal,
    );
    const records = await dialoguesOf(gateway, id, signal);
    const lines = records.map((record) => `${toLine(record, `${options.name}-${round}`, models)}\n`);
    const sha256 = await writeWhole(join(run.folder, path), lines.join(""));
    const { total, failed } = ended.dialogue_counts;
    return { outputs: { [path]: sha256 }, facts: { asked: total, failed, dialogues: lines.length } };
  } finally {
    await gateway.close();
  }
}

/** Rounds differ, and runs with the same seed agree. A safe integer. */
function roundSeed(seed: number, round: number): number {
  return createHash("sha256").update(`loop/${seed}/${round}`).digest().readUIntBE(0, 6);
}
