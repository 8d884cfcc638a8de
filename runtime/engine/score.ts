// Owns scoring: how probable a model finds ids that are given. One text at a time on a slot of its own, a chunk per step,
// so that sequences being written wait no longer than for another's prompt. It knows no text, and draws nothing.
import type { Decoder } from "./decoder.ts";
import { EngineError } from "../errors.ts";
import type { KvCache, Slot } from "./kv-cache.ts";

interface ScoreJob {
  readonly ids: readonly number[];
  readonly positions: ReadonlySet<number>;
  /** Ids from here on bear on no position. */
  readonly end: number;
  readonly values: number[];
  readonly resolve: (values: number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A stretch of ids to compute, and those of its rows whose logits say how probable the id after them is. */
interface Chunk {
  readonly ids: readonly number[];
  readonly rows: readonly number[];
  readonly targets: readonly number[];
}

/** The texts to be scored. A text is computed from its beginning, whatever is cached, so that equal ids give equal values. */
export class Scoring {
  readonly #cache: KvCache;
  readonly #chunkTokens: number;
  readonly #chunkRows: number;
  readonly #queue: ScoreJob[] = [];
  #slot: Slot | null = null;
  /** Whose slot it is. */
  #owner: ScoreJob | null = null;

  /** `chunkRows`: most logits rows of one step. */
  constructor(cache: KvCache, chunkTokens: number, chunkRows: number) {
    this.#cache = cache;
    this.#chunkTokens = chunkTokens;
    this.#chunkRows = chunkRows;
  }

  /** The slot in use, if any. */
  get slot(): Slot | null {
    return this.#slot;
  }

  /** Natural logarithms of the probability of the ids at `positions`, in rising order, each given all ids before it. */
  submit(ids: readonly number[], positions: readonly number[], signal: AbortSignal): Promise<number[]> {
    const job = Promise.withResolvers<number[]>();
    const { resolve, reject } = job;
    const sorted = new Set(positions.toSorted((a, b) => a - b));
    const cancel = (): void => {
      reject(new EngineError("cancelled", "The request was cancelled."));
      this.#remove(queued);
    };
    const queued: ScoreJob = { ids, positions: sorted, end: Math.max(0, ...sorted), values: [], resolve, reject };
    if (sorted.size === 0) resolve([]);
    else if (signal.aborted) cancel();
    else {
      this.#queue.push(queued);
      signal.addEventListener("abort", cancel, { once: true });
    }
    const stopListening = (): void => signal.removeEventListener("abort", cancel);
    job.promise.then(stopListening, stopListening);
    return job.promise;
  }

  /** Takes a slot for the first text if one is free; true when there is something to compute. */
  admit(): boolean {
    const job = this.#queue[0] ?? null;
    if (this.#owner !== job) this.#leave();
    if (job !== null && this.#slot === null && this.#cache.hasFreeSlot) {
      this.#slot = this.#cache.acquire([], null)?.slot ?? null;
      this.#owner = job;
    }
    return this.#slot !== null;
  }

  /** Computes the next chunk; returns how many ids that were, null when there was nothing to do. Never throws. */
  async step(decoder: Decoder): Promise<number | null> {
    const job = this.#owner;
    if (job === null || this.#slot === null || this.#queue[0] !== job) {
      this.#leave();
      return null;
    }
    const { tokens, row } = this.#slot;
    const { ids, rows, targets } = this.#nextChunk(job, tokens.length);
    try {
      await decoder.compute(row, ids, tokens.length, rows);
      if (rows.length > 0) job.values.push(...(await decoder.head.logProbabilities(targets)));
      tokens.push(...ids);
      if (tokens.length >= job.end) {
        job.resolve(job.values);
        this.#remove(job);
      }
    } catch (error) {
      job.reject(error);
      this.#remove(job);
    }
    // Done, failed, or its caller left meanwhile.
    if (this.#queue[0] !== job) this.#leave();
    return ids.length;
  }

  /** Gives up every text. */
  fail(error: unknown): void {
    for (const { reject } of this.#queue.splice(0)) reject(error);
    this.#leave();
  }

  #nextChunk({ ids, positions, end }: ScoreJob, from: number): Chunk {
    const rows: number[] = [];
    const targets: number[] = [];
    let to = from;
    while (to < end && to - from < this.#chunkTokens) {
      if (positions.has(to + 1)) {
        if (rows.length === this.#chunkRows) break;
        rows.push(to - from);
        targets.push(ids[to + 1]!);
      }
      to += 1;
    }
    return { ids: ids.slice(from, to), rows, targets };
  }

  // The slot stays until the step in flight is over.
  #remove(job: ScoreJob): void {
    const index = this.#queue.indexOf(job);
    if (index !== -1) this.#queue.splice(index, 1);
  }

  // Chunks here are cut otherwise than a prompt's and may round otherwise: no later prompt may begin with what they left.
  #leave(): void {
    if (this.#slot !== null) {
      this.#slot.tokens.length = 0;
      this.#cache.release(this.#slot);
    }
    this.#slot = null;
    this.#owner = null;
  }
}
