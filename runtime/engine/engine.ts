// Owns the life of sequences: admission, steps, ends, cancellation. Continuous batching over slots; token ids only.
// A step is: plan, run, sample, commit. It knows neither text nor HTTP; devices only through the decoder.
import type { EngineObserver } from "../chat-model.ts";
import type { Decoder } from "./decoder.ts";
import type { SequenceEvent, SequenceRequest, TokenEngine } from "../engine-api.ts";
import { EngineError } from "../errors.ts";
import { KvCache } from "./kv-cache.ts";
import { nextTokens } from "./next-tokens.ts";
import type { Environment } from "../ort/environment.ts";
import { Scheduler } from "./scheduler.ts";
import { Scoring } from "./score.ts";
import type { StepPlan } from "./scheduler.ts";
import { Sequence } from "./sequence.ts";
import type { SequenceOutcome } from "./sequence.ts";

export interface EngineOptions {
  readonly modelId: string;
  readonly contextWindow: number;
  readonly vocabSize: number;
  readonly slots: number;
  readonly prefillChunkTokens: number;
  /** See SchedulerOptions. */
  readonly isBatchInvariant: boolean;
  readonly maxWaitingRequests: number;
  readonly maxWaitingTokens: number;
  readonly observer: EngineObserver;
}

const RETRY_AFTER_MS = 1000;

/** Runs sequences over a decoder. Owns decoder and environment from construction until `close`. */
export class Engine implements TokenEngine {
  readonly contextWindow: number;
  readonly vocabSize: number;
  readonly #options: EngineOptions;
  readonly #environment: Environment;
  readonly #decoder: Decoder;
  readonly #cache: KvCache;
  readonly #scheduler: Scheduler;
  readonly #scoring: Scoring;
  readonly #finished: Promise<void>;
  #isClosing = false;
  #wake: (() => void) | null = null;

  constructor(environment: Environment, decoder: Decoder, options: EngineOptions) {
    this.contextWindow = options.contextWindow;
    this.vocabSize = options.vocabSize;
    this.#options = options;
    this.#environment = environment;
    this.#decoder = decoder;
    this.#cache = new KvCache(options.slots, options.contextWindow, decoder.kv.isContiguous);
    this.#scheduler = new Scheduler({ ...options, maxDecodeRows: decoder.maxDecodeRows });
    this.#scoring = new Scoring(this.#cache, options.prefillChunkTokens, decoder.maxDecodeRows);
    this.#reportState();
    this.#finished = this.#loop();
  }

  assertAccepting(promptTokens = 0): void {
    if (this.#isClosing) throw new EngineError("draining", "The model is shutting down.");
    const { maxWaitingRequests, maxWaitingTokens } = this.#options;
    const { waiting, waitingTokens } = this.#scheduler;
    // As many as there are free slots wait for nothing but the next step.
    const freeSlots = this.#cache.slots.filter(({ isInUse }) => !isInUse).length;
    const isQueued = waiting.length >= freeSlots;
    if (
      waiting.length >= freeSlots + maxWaitingRequests ||
      (isQueued && waitingTokens + promptTokens > maxWaitingTokens)
    ) {
      throw new EngineError(
        "queue_full",
        `The queue is full: ${waiting.length} requests with ${waitingTokens} tokens are waiting.`,
        { retryAfterMs: RETRY_AFTER_MS },
      );
    }
  }

  generate(request: SequenceRequest, signal: AbortSignal): AsyncIterable<SequenceEvent> {
    this.#checkPrompt(request.promptIds);
    this.assertAccepting(request.promptIds.length);
    if (signal.aborted) throw new EngineError("cancelled", "The request was cancelled.");
    const sequence = new Sequence(request, performance.now(), () => this.#cancel(sequence));
    const onAbort = (): void => this.#cancel(sequence);
    signal.addEventListener("abort", onAbort, { once: true });
    sequence.onEnd = () => signal.removeEventListener("abort", onAbort);
    this.#scheduler.waiting.push(sequence);
    this.#reportState();
    this.#resume();
    return sequence.events.events;
  }

  async score(ids: readonly number[], positions: readonly number[], signal: AbortSignal): Promise<number[]> {
    this.#checkPrompt(ids);
    const wrong = positions.find((position) => !(Number.isInteger(position) && position > 0 && position < ids.length));
    if (wrong !== undefined) {
      throw new EngineError(
        "invalid_request",
        `Position ${wrong} of ${ids.length} ids has nothing before it to score by.`,
      );
    }
    if (this.#isClosing) throw new EngineError("draining", "The model is shutting down.");
    const scored = this.#scoring.submit(ids, positions, signal);
    this.#resume();
    return scored;
  }

  endSession(sessionId: string): void {
    this.#cache.endSession(sessionId);
  }

  async close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#decoder.terminate();
      this.#resume();
    }
    await this.#finished;
  }

  /** Every violated rule of slots and sequences, as sentences; to be asked between steps. */
  checkInvariants(): string[] {
    const violations = this.#cache.checkInvariants();
    const { waiting, running } = this.#scheduler;
    const owners = new Map(this.#cache.slots.map((slot) => [slot, 0]));
    for (const { slot } of this.#scheduler.started()) {
      if (slot === null) violations.push("a started sequence has no slot");
      else owners.set(slot, owners.get(slot)! + 1);
    }
    for (const [slot, count] of owners) {
      const expected = slot.isInUse && slot !== this.#scoring.slot ? 1 : 0;
      if (count !== expected) violations.push(`row ${slot.row} has ${count} owners`);
    }
    for (const { slot } of waiting) if (slot !== null) violations.push("a waiting sequence has a slot");
    for (const sequence of running.filter(({ isPrefilled }) => isPrefilled)) {
      const expected = sequence.promptTokens + sequence.generatedIds.length - 1;
      if (sequence.computedTokens !== expected) {
        violations.push(`a running sequence has ${sequence.computedTokens} tokens computed, not ${expected}`);
      }
    }
    return violations;
  }

  async #loop(): Promise<void> {
    while (!this.#isClosing) {
      this.#scoring.admit();
      await this.#admit();
      const hasWork = this.#scheduler.plan() !== null || this.#scoring.admit();
      if (hasWork) await this.#environment.exclusive(() => this.#step());
      // A request may have come after the last look, when nobody slept yet to be woken.
      else if (this.#scheduler.waiting.length === 0 || !this.#cache.hasFreeSlot) await this.#sleep();
    }
    for (const sequence of this.#scheduler.all()) {
      this.#leave(sequence, "abort");
      sequence.events.fail(new EngineError("draining", "The model was shut down."));
    }
    this.#scoring.fail(new EngineError("draining", "The model was shut down."));
    await this.#decoder.close();
    this.#environment.release();
  }

  async #step(): Promise<void> {
    // Callers may have left while other models were computing.
    this.#reap();
    const plan = this.#scheduler.plan();
    if (plan !== null && !this.#isClosing) await this.#carryOut(plan);
    if (!this.#isClosing) await this.#score();
    this.#reap();
    this.#reportState();
  }

  async #carryOut(plan: StepPlan): Promise<void> {
    const startedAtMs = performance.now();
    const sequences = plan.kind === "prefill" ? [plan.sequence] : plan.sequences;
    try {
      const rows = plan.kind === "prefill" ? await this.#prefill(plan) : await this.#decode(plan);
      const draws = rows.map((sequence) => (plan.kind === "prefill" || sequence.drawsAfterDecode ? sequence : null));
      const ids = await nextTokens(this.#decoder.head, draws);
      this.#commit(plan, rows, ids);
      this.#options.observer.onStep(this.#options.modelId, {
        kind: plan.kind,
        rows: sequences.length,
        tokens: plan.kind === "prefill" ? plan.count : sequences.length,
        durationMs: performance.now() - startedAtMs,
      });
    } catch (error) {
      this.#fail(sequences, error);
    }
  }

  async #score(): Promise<void> {
    const startedAtMs = performance.now();
    const tokens = await this.#scoring.step(this.#decoder);
    if (tokens === null) return;
    const durationMs = performance.now() - startedAtMs;
    this.#options.observer.onStep(this.#options.modelId, { kind: "prefill", rows: 1, tokens, durationMs });
  }

  // Both return the sequences in the order of the logits' rows.
  async #prefill(plan: StepPlan & { kind: "prefill" }): Promise<readonly Sequence[]> {
    const { sequence, from, count } = plan;
    const ids = sequence.request.promptIds.slice(from, from + count);
    await this.#decoder.prefill(sequence.slot!.row, ids, from, plan.isLast);
    return plan.isLast ? [sequence] : [];
  }

  async #decode(plan: StepPlan & { kind: "decode" }): Promise<readonly Sequence[]> {
    const isContiguous = this.#decoder.kv.isContiguous;
    if (isContiguous) {
      for (const swap of this.#cache.compact(plan.sequences.map(({ slot }) => slot!))) {
        await this.#decoder.kv.swap(swap.rowA, swap.tokensA, swap.rowB, swap.tokensB);
      }
    }
    const rows = plan.sequences.toSorted((a, b) => a.slot!.row - b.slot!.row);
    const ids = rows.map(({ nextInputId }) => nextInputId);
    const pasts = rows.map(({ computedTokens }) => computedTokens);
    // A padding row computes some token one place past the end of whatever its slot holds; nobody ever reads it.
    for (let row = rows.length; row < plan.rows; row += 1) {
      this.#cache.makeRoom(row);
      ids.push(0);
      pasts.push(this.#cache.slots[row]!.tokens.length);
    }
    await this.#decoder.decode(isContiguous ? 0 : rows[0]!.slot!.row, ids, pasts);
    return rows;
  }

  // Everything a step changes, changes here and at once.
  #commit(plan: StepPlan, rows: readonly Sequence[], ids: readonly (number | null)[]): void {
    if (plan.kind === "prefill") {
      const { tokens } = plan.sequence.slot!;
      tokens.length = plan.from;
      tokens.push(...plan.sequence.request.promptIds.slice(plan.from, plan.from + plan.count));
    } else {
      for (const sequence of rows) sequence.slot!.tokens.push(sequence.nextInputId);
    }
    this.#scheduler.commit(plan);
    for (const [index, sequence] of rows.entries()) {
      const id = ids[index];
      if (id !== null && id !== undefined) this.#accept(sequence, id);
    }
  }

  #accept(sequence: Sequence, id: number): void {
    if (sequence.isCancelled) return;
    const { request, events } = sequence;
    if (sequence.firstTokenAtMs === null) {
      sequence.firstTokenAtMs = performance.now();
      events.push({ type: "prompt", cachedTokens: sequence.cachedTokens });
    }
    if (request.stopIds.has(id)) {
      sequence.append(id);
      return this.#finish(sequence, { type: "end", reason: "stop_token", stopId: id });
    }
    // The token after a full window was drawn only to see whether the turn ends there.
    if (sequence.promptTokens + sequence.generatedIds.length + 1 > this.contextWindow) {
      return this.#finish(sequence, { type: "end", reason: "window", stopId: null });
    }
    sequence.append(id);
    events.push({ type: "token", id });
    if (request.maxTokens !== null && sequence.generatedIds.length >= request.maxTokens) {
      this.#finish(sequence, { type: "end", reason: "max_tokens", stopId: null });
    }
  }

  #finish(sequence: Sequence, event: SequenceEvent & { type: "end" }): void {
    this.#leave(sequence, event.reason === "stop_token" ? "stop" : "length");
    sequence.events.push(event);
    sequence.events.end();
  }

  // What a failed run left in the rows is unknown: their tokens are forgotten with the sequences.
  #fail(sequences: readonly Sequence[], error: unknown): void {
    for (const sequence of sequences) {
      if (sequence.slot !== null) sequence.slot.tokens.length = 0;
      if (this.#isClosing) continue;
      this.#leave(sequence, "error");
      sequence.events.fail(error);
    }
  }

  // Sequences whose caller is gone leave between two steps.
  #reap(): void {
    for (const sequence of this.#scheduler.started()) if (sequence.isCancelled) this.#leave(sequence, "abort");
  }

  async #admit(): Promise<void> {
    const { waiting } = this.#scheduler;
    while (this.#scheduler.prefilling.length === 0 && waiting.length > 0 && this.#cache.hasFreeSlot) {
      const sequence = waiting.shift()!;
      const { promptIds, sessionId } = sequence.request;
      const acquired = this.#cache.acquire(promptIds, sessionId ?? null)!;
      sequence.slot = acquired.slot;
      sequence.cachedTokens = acquired.reusedTokens;
      sequence.admittedAtMs = performance.now();
      this.#scheduler.start(sequence);
      const { copyFrom, slot } = acquired;
      if (copyFrom === null) continue;
      try {
        await this.#decoder.kv.copy(copyFrom.row, slot.row, copyFrom.tokens);
      } catch (error) {
        this.#fail([sequence], error);
      }
    }
  }

  #leave(sequence: Sequence, outcome: SequenceOutcome): void {
    this.#scheduler.remove(sequence);
    if (sequence.slot !== null) this.#cache.release(sequence.slot);
    sequence.onEnd();
    this.#options.observer.onSequenceEnd(this.#options.modelId, sequence.summary(outcome, performance.now()));
  }

  // A waiting sequence leaves at once, any other when the step in flight is over.
  #cancel(sequence: Sequence): void {
    sequence.isCancelled = true;
    sequence.events.fail(new EngineError("cancelled", "The request was cancelled."));
    if (!this.#scheduler.waiting.includes(sequence)) return;
    this.#leave(sequence, "abort");
    this.#reportState();
  }

  #checkPrompt(promptIds: readonly number[]): void {
    if (promptIds.length === 0) throw new EngineError("invalid_request", "The prompt is empty.", { param: "messages" });
    if (promptIds.length > this.contextWindow) {
      throw new EngineError("context_length_exceeded", "The prompt does not fit into the context window.", {
        contextWindow: this.contextWindow,
        promptTokens: promptIds.length,
      });
    }
  }

  #reportState(): void {
    const { waiting, waitingTokens, running, prefilling } = this.#scheduler;
    this.#options.observer.onState(this.#options.modelId, {
      waiting: waiting.length,
      waitingTokens,
      running: running.length + prefilling.length,
      slots: this.#options.slots,
      usedSlots: this.#cache.slots.filter(({ isInUse }) => isInUse).length,
      cachedTokens: this.#cache.cachedTokens,
      capacityTokens: this.#options.slots * this.contextWindow,
    });
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #resume(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
