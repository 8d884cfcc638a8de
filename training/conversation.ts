// Owns what a conversation is on its way from a source to an export: who said what, under which system messages, and where
// it came from. Types only: it knows no file format, no template and no trainer.
import type { ModelRole, StopCause } from "../runtime/chat-model.ts";

/** Where something was read. */
export interface Origin {
  /** The file, as it was named; for a self-play job its id. */
  readonly file: string;
  /** Of the file, from 1: the line of JSON Lines (blank lines counted), the element of an array, the index of a dialogue plus one. */
  readonly row: number;
}

/** A sample that was passed over for the one that stands. */
export interface RejectedSample {
  readonly content: string;
  readonly tokenIds?: readonly number[];
}

export interface Utterance {
  readonly role: ModelRole;
  readonly content: string;
  /**
   * The ids that a model sampled for it, without the token that ends the turn. They stand for the text wherever they decode to
   * it, so that training sees what was sampled and not another tokenization of it.
   */
  readonly tokenIds?: readonly number[];
  /** How the sampled turn ended. */
  readonly cause?: StopCause;
  /** It only gives context and is in no loss: an answer that a split repeats, or a turn of a seed. */
  readonly isContext?: boolean;
  /** From best-of-n, for preference pairs. */
  readonly rejected?: readonly RejectedSample[];
}

export interface Conversation {
  /** Unique within its source. */
  readonly id: string;
  /** Conversations of one group (segments of a session, threads of a tree) must never be on both sides of a hold-out split. */
  readonly group: string;
  readonly origin: Origin;
  /** What each side alone is told first; null for nothing. */
  readonly system: Readonly<Record<ModelRole, string | null>>;
  /** Not empty; need not alternate before it was cleaned. */
  readonly utterances: readonly Utterance[];
  /** It is known to have come to its end: nothing was cut off behind the last utterance. */
  readonly isComplete: boolean;
  /** Of a self-play: models, hashes, seeds, simulator, stop reason; of others what their format brings. Plain JSON. */
  readonly provenance: Readonly<Record<string, unknown>>;
}
