// Owns what a dialogue of a job looks like to the measures, and how a verdict is written beside it.
// It knows stored rows and measures, no tables.
import { wholeRounds } from "../jobs/record.ts";
import type { Json, StoredDialogue } from "../store/records.ts";
import type { QualityDialogue, QualityVerdict } from "../../../training/measures/quality-types.ts";

/** The dialogue as the data set will have it; null when it will not have it, since it failed or was cancelled. */
export function toQualityDialogue(id: string, stored: StoredDialogue): QualityDialogue | null {
  const { status, stopReason, turns, seedItem } = stored;
  if (status !== "completed") return null;
  const kept = wholeRounds(stored);
  const seedKey = seedItem?.["id"];
  return {
    id,
    turns: kept.map(({ role, content }) => ({ role, content })),
    stopReason: stopReason ?? "error",
    givenTurns: kept.filter(({ origin }) => origin === null).length,
    rejectedDrafts: turns.filter(({ rejection }) => rejection !== undefined).length,
    intent: intentOf(stored),
    seedKey: typeof seedKey === "string" ? seedKey : null,
    turnCauses: kept.flatMap(({ origin }) => (origin === null ? [] : [origin.cause])),
  };
}

/** What the user alone was told to be after. */
function intentOf({ record, seedItem }: StoredDialogue): string | null {
  const mode = record?.["mode"];
  const text = mode === "intent" || mode === "profile" ? seedItem?.["prompt"] : null;
  return typeof text === "string" ? text : null;
}

/** The verdict as JSON; each flag can be filtered by. */
export function toQualityFlags(verdict: QualityVerdict): Json {
  return {
    exact_duplicate: verdict.isExactDuplicate,
    near_duplicate: verdict.isNearDuplicate,
    opener_collision: verdict.openerCollision,
    duplicate_of: verdict.duplicateOf,
  };
}
