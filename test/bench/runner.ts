// What every measured program is asked: a decode of so many sequences at a context length, a prefill in chunks.
// Types only. Runners live in a process each (runner-process.ts), so that no thread pool disturbs another's.
import type { NetworkSizes } from "./shapes.ts";

export const RUNNERS = ["realchat", "onnxruntime-node", "onnxruntime-node-cut", "transformers", "llama.cpp"] as const;

export type RunnerName = (typeof RUNNERS)[number];

/** Files of one shape that runners load. */
export interface Artifacts {
  /** Model folder in the product's own format. */
  readonly modelFolder: string;
  /** The same weights as a folder that `@huggingface/transformers` loads. */
  readonly transformersFolder: string;
  readonly ggufPath: string;
}

export interface RunnerOptions {
  readonly artifacts: Artifacts;
  readonly sizes: NetworkSizes;
  /** Positions that a sequence's slot holds in programs with slots. */
  readonly windowTokens: number;
  readonly threads: number;
  /** Holds a folder with node_modules for each installed opponent. */
  readonly opponentsFolder: string;
}

export interface PrefillResult {
  /** Of the whole prompt. */
  readonly ms: number;
  /** The best next token: the same for everybody who computes the same network from the same weights. */
  readonly nextId: number;
}

export interface Runner {
  /** Name and version, and what else bears on its figures. */
  readonly description: string;
  /** Makes `batch` sequences of `contextTokens` tokens ready. Whatever was prepared before is gone. */
  prepareDecode(batch: number, contextTokens: number): Promise<void>;
  /** Takes greedy steps from the prepared lengths on for about `budgetMs`: milliseconds of each. Repeatable. */
  decode(budgetMs: number): Promise<number[]>;
  /** Computes a prompt of `tokens` tokens, `chunkTokens` at a time, for one sequence. */
  prefill(tokens: number, chunkTokens: number): Promise<PrefillResult>;
  close(): Promise<void>;
}

export type OpenRunner = (options: RunnerOptions) => Promise<Runner>;

/** Steps that a decode may take beyond its context. */
export const ROOM_TOKENS = 64;

/** The same arbitrary prompt for everybody; no id is a special one. */
export function promptIds(count: number, vocabSize: number): number[] {
  return Array.from({ length: count }, (_, index) => 300 + ((index * 7919) % (vocabSize - 300)));
}

/** Index of the largest of `count` values from `start` on, relative to `start`. */
export function argMax(values: Float32Array, start: number, count: number): number {
  let best = start;
  for (let i = start + 1; i < start + count; i += 1) if (values[i]! > values[best]!) best = i;
  return best - start;
}

/** Counts steps until the time is up, two at least and no more than there is room for. */
export function* stepsWithin(budgetMs: number): Generator<number, void, undefined> {
  const endAt = performance.now() + budgetMs;
  for (let step = 0; step < ROOM_TOKENS && (step < 2 || performance.now() < endAt); step += 1) yield step;
}
