// Owns what a conversation of a source looks like to the measures. It measures nothing.
import type { Conversation } from "../conversation.ts";
import type { QualityDialogue } from "../measures/quality-types.ts";

/** For sources that do not say how their dialogues ended. */
export const unknownStopReason = "not_recorded";

/** What the source gave, or a seed, is what comes before the first turn that counts. */
export function toQualityDialogue(conversation: Conversation): QualityDialogue {
  const { id, origin, utterances, provenance } = conversation;
  const firstOwn = utterances.findIndex(({ isContext }) => isContext !== true);
  const stopReason = provenance["stop_reason"];
  return {
    // Ids are unique within one file, sources may be folders of many.
    id: `${origin.file}#${origin.row} ${id}`,
    turns: utterances,
    stopReason: typeof stopReason === "string" ? stopReason : unknownStopReason,
    givenTurns: firstOwn === -1 ? utterances.length : firstOwn,
    seedKey: seedItemId(provenance["seed_item"]),
    turnCauses: utterances.flatMap(({ cause }) => (cause === undefined ? [] : [cause])),
  };
}

function seedItemId(seedItem: unknown): string | null {
  if (typeof seedItem !== "object" || seedItem === null || !("id" in seedItem)) return null;
  return typeof seedItem.id === "string" ? seedItem.id : null;
}

/** What stands at a path of names with dots between in the provenance, as text; `null` where nothing does. */
export function provenanceAt({ provenance }: Pick<Conversation, "provenance">, path: string): string | null {
  let value: unknown = provenance;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return null;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}
