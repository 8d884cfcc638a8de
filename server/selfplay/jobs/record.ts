// Owns what is written down of a dialogue at its end besides its turns: who played and how, and reading that back.
// It knows JSON and the dialogue's own types, no tables.
import type { Dialogue, DialogueRequest, SideRecord } from "../dialogue-types.ts";
import type { SideSetup } from "../side.ts";
import type { Json, StoredDialogue } from "../store/records.ts";

/** The JSON of who played; `dialogue` is null when there is none to take it from. */
export function recordOf(request: DialogueRequest, dialogue: Dialogue | null): Json {
  const sides = dialogue?.sides ?? { user: sideOf(request.user), assistant: sideOf(request.assistant) };
  return { seed: request.seed, sides: { user: withoutMap(sides.user), assistant: withoutMap(sides.assistant) } };
}

/** The dialogue as it was when it ended; null while it has not. */
export function toDialogue(id: string, stored: StoredDialogue): Dialogue | null {
  const { index, stopReason, stoppedBy, turns, record } = stored;
  if (record === null || !("sides" in record) || stopReason === null) return null;
  const { seed, sides } = record as unknown as { seed: number; sides: Record<"user" | "assistant", StoredSide> };
  return {
    id,
    seed,
    dialogueIndex: index,
    turns: wholeRounds(stored),
    discarded: turns.filter(({ isKept }) => !isKept),
    stopReason,
    stoppedBy,
    usage: { user: usageOf(stored, "user"), assistant: usageOf(stored, "assistant") },
    sides: { user: withMap(sides.user), assistant: withMap(sides.assistant) },
  };
}

/** Kept turns without a question that was not answered yet. */
export function wholeRounds({ turns }: StoredDialogue) {
  const kept = turns.filter(({ isKept }) => isKept);
  return kept.at(-1)?.role === "user" ? kept.slice(0, -1) : kept;
}

/** What one side has cost so far. */
export function usageOf({ turns }: StoredDialogue, role: "user" | "assistant") {
  const sum = { promptTokens: 0, cachedTokens: 0, prefilledTokens: 0, completionTokens: 0 };
  for (const turn of turns) {
    if (turn.role !== role || turn.origin === null) continue;
    const { usage: own, choice } = turn.origin;
    for (const usage of [own, ...(choice?.losers ?? []).map((loser) => loser.usage)]) {
      sum.promptTokens += usage.promptTokens;
      sum.cachedTokens += usage.cachedTokens;
      sum.prefilledTokens += usage.promptTokens - usage.cachedTokens;
      sum.completionTokens += usage.completionTokens;
    }
  }
  return sum;
}

type StoredSide = Omit<SideRecord, "sampling"> & { readonly sampling: Omit<SideRecord["sampling"], "logitBias"> };

function sideOf({ model, ...setup }: SideSetup): SideRecord {
  return { ...setup, model: model.info };
}

/** A Map has no JSON; self-play sets no biases. */
function withoutMap(side: SideRecord): StoredSide {
  const { logitBias, ...sampling } = side.sampling;
  if (logitBias.size > 0) throw new Error("A dialogue with logit biases cannot be written down.");
  return { ...side, sampling };
}

function withMap(side: StoredSide): SideRecord {
  return { ...side, sampling: { ...side.sampling, logitBias: new Map() } };
}
