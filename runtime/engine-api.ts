// What the engine promises to those above it: token ids in, token ids out.
// Types only, so that the text side can be tested against an engine of a few lines.
import type { SamplingParams } from "./chat-model.ts";

/** Positions `from` up to but not including `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface SequenceRequest {
  /** At least one id. */
  readonly promptIds: readonly number[];
  /**
   * Stretches of the prompt that this model once sampled, in order. Where they are not in the cache any more they are
   * computed one token at a time, as they were then, since computing many at once rounds differently.
   */
  readonly decodedSpans?: readonly Span[];
  readonly sampling: SamplingParams;
  readonly choiceIndex: number;
  /** Most tokens to sample; null means until the context window is full. */
  readonly maxTokens: number | null;
  /** Sampling one of these ends the sequence; it is reported, not fed. */
  readonly stopIds: ReadonlySet<number>;
  /** Ids that may not be sampled as the very first token. */
  readonly bannedFirstIds: ReadonlySet<number>;
  readonly sessionId?: string;
}

export type SequenceEvent =
  | { readonly type: "prompt"; readonly cachedTokens: number }
  | { readonly type: "token"; readonly id: number }
  /** `stopId` is the stop token sampled, when that was the reason. */
  | { readonly type: "end"; readonly reason: "stop_token" | "max_tokens" | "window"; readonly stopId: number | null };

export interface TokenEngine {
  readonly contextWindow: number;
  readonly vocabSize: number;
  /** Throws `queue_full` or `draining`: asked before a prompt is even tokenized. */
  assertAccepting(): void;
  /** Submits at once (not at the first `next()`); leaving the loop or aborting cancels at the next step. */
  generate(request: SequenceRequest, signal: AbortSignal): AsyncIterable<SequenceEvent>;
  /**
   * Natural logarithms of the probability of the ids at `positions`, in rising order, each given all ids before it. Equal
   * ids give equal values, whatever else runs. Aborting cancels at the next step.
   */
  score(ids: readonly number[], positions: readonly number[], signal: AbortSignal): Promise<number[]>;
  endSession(sessionId: string): void;
  close(): Promise<void>;
}
