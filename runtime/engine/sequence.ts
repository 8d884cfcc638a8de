// Owns one sequence's state: what was asked, what was sampled, how far it is computed. It knows neither slots' contents
// nor devices; token ids only.
import type { EngineSequenceEnd } from "../chat-model.ts";
import { createEventQueue } from "./event-queue.ts";
import type { EventQueue } from "./event-queue.ts";
import type { SequenceEvent, SequenceRequest, Span } from "../engine-api.ts";
import type { Slot } from "./kv-cache.ts";

export type SequenceOutcome = EngineSequenceEnd["outcome"];

/** One request inside the engine, from submission until it leaves. */
export class Sequence {
  readonly request: SequenceRequest;
  /** Where events go; pushed at commit. */
  readonly events: EventQueue<SequenceEvent>;
  readonly generatedIds: number[] = [];
  /** How often each id was sampled, for penalties. */
  readonly generatedCounts = new Map<number, number>();
  readonly submittedAtMs: number;
  #promptIdSet: ReadonlySet<number> | null = null;
  slot: Slot | null = null;
  /** Prompt tokens found in the cache at admission. */
  cachedTokens = 0;
  isCancelled = false;
  admittedAtMs: number | null = null;
  firstTokenAtMs: number | null = null;

  /** Called when the sequence leaves the engine. */
  onEnd: () => void = () => {};

  /** `onLeave`: the consumer left its loop early. */
  constructor(request: SequenceRequest, nowMs: number, onLeave: () => void) {
    this.request = request;
    this.submittedAtMs = nowMs;
    this.events = createEventQueue(onLeave);
  }

  get promptTokens(): number {
    return this.request.promptIds.length;
  }

  /** Tokens whose keys and values are in the slot. */
  get computedTokens(): number {
    return this.slot === null ? 0 : this.slot.tokens.length;
  }

  get isPrefilled(): boolean {
    return this.computedTokens >= this.promptTokens;
  }

  /** The token a decode step feeds: one of the prompt's own, or the last one sampled, not yet in the slot. */
  get nextInputId(): number {
    return this.isPrefilled ? this.generatedIds.at(-1)! : this.request.promptIds[this.computedTokens]!;
  }

  /** Whether the next token to compute was sampled once and is computed alone again. */
  get isInDecodedSpan(): boolean {
    const next = this.computedTokens;
    return !this.isPrefilled && this.#spans.some(({ from, to }) => from <= next && next < to);
  }

  /** Where the stretch of the prompt that may be computed in chunks ends. */
  get prefillEnd(): number {
    const next = this.computedTokens;
    return this.#spans.find(({ from }) => from > next)?.from ?? this.promptTokens;
  }

  /** Whether a decode step's logits are this sequence's to draw from: not while the prompt goes on after it. */
  get drawsAfterDecode(): boolean {
    return this.computedTokens + 1 >= this.promptTokens;
  }

  get #spans(): readonly Span[] {
    return this.request.decodedSpans ?? [];
  }

  /** The prompt's distinct ids, for the repetition penalty; made when first asked for. */
  get promptIdSet(): ReadonlySet<number> {
    this.#promptIdSet ??= new Set(this.request.promptIds);
    return this.#promptIdSet;
  }

  append(id: number): void {
    this.generatedIds.push(id);
    this.generatedCounts.set(id, (this.generatedCounts.get(id) ?? 0) + 1);
  }

  summary(outcome: SequenceOutcome, nowMs: number): EngineSequenceEnd {
    const admittedAtMs = this.admittedAtMs ?? nowMs;
    const prefilledAtMs = this.firstTokenAtMs ?? nowMs;
    return {
      outcome,
      promptTokens: this.promptTokens,
      cachedTokens: this.cachedTokens,
      completionTokens: this.generatedIds.length,
      queueMs: admittedAtMs - this.submittedAtMs,
      prefillMs: this.admittedAtMs === null ? 0 : prefilledAtMs - admittedAtMs,
      decodeMs: this.firstTokenAtMs === null ? 0 : nowMs - this.firstTokenAtMs,
      firstTokenMs: this.firstTokenAtMs === null ? null : this.firstTokenAtMs - this.submittedAtMs,
    };
  }
}
