// Owns how random seeds are derived in self-play: one per dialogue, turn and role, from one seed of the request.
// A pure function of those four, so neither timing nor neighbours nor the machine can change a dialogue.
// It does not know what is sampled with them.
import { createHash, randomBytes } from "node:crypto";
import type { ModelRole } from "../../runtime/chat-model.ts";

/** Which turn of which dialogue a seed is for. */
export interface TurnPosition {
  /** Counts the dialogues that share one root seed, from 0. */
  readonly dialogueIndex: number;
  /** The round, from 1. */
  readonly turn: number;
  readonly role: ModelRole;
  /** Counts the draws of this turn, from 0, the default: a refused one is drawn anew. */
  readonly draw?: number;
}

/** Part of the hashed text: another derivation, should one ever be needed, gets another name and old dialogues still replay. */
const DERIVATION = "selfplay-seed-1";

/** The seed of one turn: the first 53 bits of a SHA-256, hence always a safe integer. */
export function turnSeed(rootSeed: number, position: TurnPosition): number {
  const { dialogueIndex, turn, role, draw = 0 } = position;
  const text = [DERIVATION, rootSeed, dialogueIndex, turn, role, ...(draw === 0 ? [] : [draw])].join("/");
  return leading53Bits(createHash("sha256").update(text).digest());
}

/** A number from 0 to below `bound`, for whatever else of a dialogue is left to chance. */
export function drawBelow(bound: number, rootSeed: number, purpose: string, dialogueIndex: number): number {
  const text = [DERIVATION, rootSeed, dialogueIndex, purpose].join("/");
  return leading53Bits(createHash("sha256").update(text).digest()) % bound;
}

/** A root seed for a request that brought none. */
export function randomRootSeed(): number {
  return leading53Bits(randomBytes(8));
}

function leading53Bits(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(0) >> 11n);
}
