// Owns playing a finished dialogue of a job a second time and saying whether it came out the same, token for token.
// Nothing is stored. It knows neither tables nor HTTP beyond the errors that a client is told.
import { randomUUID } from "node:crypto";
import type { ModelCatalog } from "../../model-catalog.ts";
import { ApiError } from "../../openai/error.ts";
import type { Dialogue, StopReason, Turn } from "../dialogue-types.ts";
import type { SeedItem } from "../simulators/simulator.ts";
import type { StoredDialogue, StoredJob } from "../store/records.ts";
import { obstacleOf, toRunnable } from "./job-plan.ts";

export interface Replay {
  /** The first place at which the two differ; null when they are the same. */
  readonly difference: string | null;
  readonly dialogue: Dialogue;
}

/** Ends that something outside the dialogue brought about. */
const outerReasons: ReadonlySet<StopReason> = new Set(["budget", "cancelled", "error"]);

/** Throws ApiError for a dialogue that cannot be played again. */
export async function replayDialogue(
  job: StoredJob,
  stored: StoredDialogue,
  catalog: ModelCatalog,
  signal: AbortSignal,
): Promise<Replay> {
  const { index, stopReason, seedItem } = stored;
  if (stopReason === null || outerReasons.has(stopReason)) {
    const state = stopReason === null ? stored.status : `ended by '${stopReason}'`;
    throw conflict(`Dialogue ${index} is ${state}; only one that came to its own end can be played again.`);
  }
  const obstacle = obstacleOf(job, catalog);
  if (obstacle !== null) throw conflict(obstacle);
  const id = `replay_${randomUUID().replaceAll("-", "")}`;
  const runnable = toRunnable(job, index, seedItem as SeedItem | null, catalog, id);
  let dialogue: Dialogue | null = null;
  const said = { past: runnable.given, drafts: [] };
  for await (const event of runnable.play(said, signal)) if (event.type === "end") dialogue = event.dialogue;
  if (dialogue === null) throw new Error("A dialogue was told without its end.");
  if (dialogue.stopReason === "cancelled") signal.throwIfAborted();
  return { difference: differenceOf(stored, dialogue), dialogue };
}

function differenceOf(stored: StoredDialogue, again: Dialogue): string | null {
  const pairs = [
    [stored.turns.filter(({ isKept }) => isKept), again.turns],
    [stored.turns.filter(({ isKept }) => !isKept), again.discarded],
  ] as const;
  for (const [before, after] of pairs) {
    for (let place = 0; place < Math.max(before.length, after.length); place += 1) {
      const [old, now] = [before[place], after[place]];
      if (old === undefined || now === undefined) return "The number of turns differs.";
      const field = fields.find(({ of }) => JSON.stringify(of(old)) !== JSON.stringify(of(now)));
      if (field !== undefined) return `The ${old.role}'s turn ${old.turn} differs in its ${field.name}.`;
    }
  }
  return stored.stopReason === again.stopReason ? null : "The stop reason differs.";
}

const fields: readonly { readonly name: string; readonly of: (turn: Turn) => unknown }[] = [
  { name: "place", of: ({ role, turn }) => [role, turn] },
  { name: "seed", of: ({ origin }) => origin?.seed },
  { name: "tokens", of: ({ origin }) => origin?.tokenIds },
  { name: "text", of: ({ content }) => content },
  { name: "cause", of: ({ origin }) => origin?.cause },
];

function conflict(message: string): ApiError {
  return new ApiError(409, message, { param: "index", code: "dialogue_status" });
}
