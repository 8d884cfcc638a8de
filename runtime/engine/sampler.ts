// Owns the choice of the next token from logits. Pure: numbers in, one id out.
// It knows neither sequences nor devices. Order of operations: bias, penalties, temperature, top-k, top-p, min-p.
import type { SamplingParams } from "../chat-model.ts";

/** The best candidates of one row, best first, and the normalizer of the whole row. */
export interface TopCandidates {
  readonly ids: ArrayLike<number>;
  /** Raw logits, descending. */
  readonly logits: ArrayLike<number>;
  readonly count: number;
  /** log Σ exp(logit / temperature) over the whole vocabulary. */
  readonly logSumExp: number;
}

/** Whether the next token depends on more than the raw logits: then the whole row must be read and edited. */
export function needsFullRow(params: SamplingParams): boolean {
  return (
    params.logitBias.size > 0 ||
    params.presencePenalty !== 0 ||
    params.frequencyPenalty !== 0 ||
    params.repetitionPenalty !== 1
  );
}

/**
 * Draws from the row's best candidates when they decide the draw, exactly as `sampleRow` would from the whole row; null
 * when they do not: the draw falls into the tail, or the nucleus is larger than the candidates.
 */
export function sampleTop(top: TopCandidates, params: SamplingParams, draw: number): number | null {
  if (params.temperature === 0) return top.ids[0]!;
  if (params.topK > top.count) return null;
  const limit = params.topK > 0 ? params.topK : top.count;
  const weights = new Float64Array(limit);
  let mass = 0;
  for (let index = 0; index < limit; index += 1) {
    weights[index] = Math.exp(top.logits[index]! / params.temperature - top.logSumExp);
    mass += weights[index]!;
  }
  // The nucleus is taken of what top-k left: then the normalizer is their own mass.
  const total = params.topK > 0 ? mass : 1;
  const kept = nucleus(weights, limit, total, params);
  if (params.topK > 0 || kept.count < limit) return top.ids[pick(weights, kept.count, draw * kept.mass)]!;
  // Top-p or min-p may cut further down, where the candidates do not reach.
  if (isRanked(params) || draw >= mass) return null;
  return top.ids[pick(weights, limit, draw)]!;
}

/**
 * Draws from a whole row, changing nothing. `head` are the row's best candidates, when `sampleTop` was asked first: the
 * draw then walks them before the rest, so that both agree on which token a draw means.
 */
export function sampleRow(
  logits: Float32Array,
  params: SamplingParams,
  draw: number,
  head: TopCandidates | null = null,
): number {
  const best = argMax(logits);
  if (params.temperature === 0) return best;
  const weights = new Float64Array(logits.length);
  let total = 0;
  for (let id = 0; id < logits.length; id += 1) {
    weights[id] = Math.exp((logits[id]! - logits[best]!) / params.temperature);
    total += weights[id]!;
  }
  if (!isRanked(params)) {
    const order = head === null ? [] : Array.from({ length: head.count }, (_, index) => head.ids[index]!);
    return pickInOrder(weights, order, draw * total);
  }
  const ranked = rankCandidates(logits, weights, total, params);
  const sorted = Float64Array.from(ranked, (id) => weights[id]!);
  const isTopK = params.topK > 0 && params.topK < logits.length;
  const nucleusTotal = isTopK ? sorted.reduce((sum, weight) => sum + weight, 0) : total;
  const kept = nucleus(sorted, sorted.length, nucleusTotal, params);
  return ranked[pick(sorted, kept.count, draw * kept.mass)]!;
}

/**
 * Applies bias and penalties in place. `generated` counts the sampled tokens; `prompt` holds the prompt's distinct ids,
 * which only the repetition penalty looks at (as in the original, Keskar et al. 2019); presence and frequency follow
 * OpenAI's definition and look at sampled tokens alone.
 */
export function editLogits(
  logits: Float32Array,
  params: SamplingParams,
  prompt: ReadonlySet<number>,
  generated: ReadonlyMap<number, number>,
): void {
  for (const [id, bias] of params.logitBias) logits[id] = logits[id]! + bias;
  if (params.repetitionPenalty !== 1) {
    for (const id of prompt) penalizeRepetition(logits, id, params.repetitionPenalty);
    for (const id of generated.keys()) {
      if (!prompt.has(id)) penalizeRepetition(logits, id, params.repetitionPenalty);
    }
  }
  if (params.presencePenalty === 0 && params.frequencyPenalty === 0) return;
  for (const [id, times] of generated) {
    logits[id] = logits[id]! - params.presencePenalty - params.frequencyPenalty * times;
  }
}

function penalizeRepetition(logits: Float32Array, id: number, penalty: number): void {
  const logit = logits[id]!;
  logits[id] = logit > 0 ? logit / penalty : logit * penalty;
}

// How many of the descending weights top-p and min-p keep (at least one), and their mass.
function nucleus(
  weights: Float64Array,
  limit: number,
  total: number,
  params: SamplingParams,
): { count: number; mass: number } {
  const enough = params.topP < 1 ? params.topP * total : Infinity;
  const least = params.minP * weights[0]!;
  let mass = 0;
  let count = 0;
  while (count < limit && (count === 0 || (mass < enough && weights[count]! >= least))) {
    mass += weights[count]!;
    count += 1;
  }
  return { count, mass };
}

function pick(weights: Float64Array, count: number, target: number): number {
  let sum = 0;
  for (let index = 0; index < count; index += 1) {
    sum += weights[index]!;
    if (target < sum) return index;
  }
  return count - 1; // rounding left the target at the very end
}

function argMax(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id += 1) {
    if (logits[id]! > logits[best]!) best = id;
  }
  return best;
}

// Whether the distribution is cut by rank, so that candidates must be sorted.
function isRanked(params: SamplingParams): boolean {
  return params.topP < 1 || params.minP > 0 || params.topK > 0;
}

// `first` before all other ids, which follow in their own order.
function pickInOrder(weights: Float64Array, first: readonly number[], target: number): number {
  let sum = 0;
  let last = 0;
  for (const id of first) {
    sum += weights[id]!;
    if (target < sum) return id;
    last = id;
  }
  const isFirst = new Set(first);
  for (let id = 0; id < weights.length; id += 1) {
    if (weights[id] === 0 || isFirst.has(id)) continue;
    sum += weights[id]!;
    if (target < sum) return id;
    last = id;
  }
  return last;
}

// The ids that top-k, top-p and min-p can keep at most, best first, ties by id. All ids below the threshold together
// weigh less than what top-p cuts off, or less each than min-p asks for, or come after the k-th.
function rankCandidates(
  logits: Float32Array,
  weights: Float64Array,
  total: number,
  params: SamplingParams,
): readonly number[] {
  const ids: number[] = [];
  const isTopK = params.topK > 0 && params.topK < logits.length;
  const least = isTopK
    ? kthLargest(weights, params.topK)
    : Math.max(params.minP, ((1 - params.topP) * total) / logits.length);
  for (let id = 0; id < weights.length; id += 1) {
    if (weights[id]! >= least) ids.push(id);
  }
  ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  return isTopK ? ids.slice(0, params.topK) : ids;
}

function kthLargest(weights: Float64Array, k: number): number {
  const sorted = weights.toSorted();
  return sorted[sorted.length - k]!;
}
