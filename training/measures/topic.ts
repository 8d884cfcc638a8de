// Owns topic diversity: the mean cosine of all pairs of questions, from nothing but the sum of their unit vectors,
// and how far consecutive questions of one dialogue drift apart. It does not know how vectors are made.
import { Distribution } from "./distribution.ts";
import type { SentenceEncoder } from "./encoder.ts";
import type { QualitySnapshot } from "./quality-types.ts";

/** Running over dialogues; memory does not grow with their number but for one drift value each. */
export class TopicSpread {
  readonly #encoder: SentenceEncoder;
  readonly #sum: Float64Array;
  /** Vectors to write into by turns: one for every question would leave far more behind than all that is kept. */
  readonly #written: readonly Float32Array[];
  readonly #drift = new Distribution();
  #questions = 0;
  /** Σ |e|²: a vector of zeros adds nothing, rounding of the others is taken as it is. */
  #selfPairs = 0;

  constructor(encoder: SentenceEncoder) {
    this.#encoder = encoder;
    this.#sum = new Float64Array(encoder.dimensions);
    this.#written = [0, 1].map(() => new Float32Array(encoder.dimensions));
  }

  /** Takes the questions of one dialogue in their order. */
  add(questions: readonly string[]): void {
    const cosines: number[] = [];
    let previous: Float32Array | null = null;
    for (const [index, question] of questions.entries()) {
      const vector = this.#encoder.encode(question, this.#written[index % 2]);
      for (let at = 0; at < vector.length; at += 1) this.#sum[at]! += vector[at]!;
      this.#selfPairs += dot(vector, vector);
      this.#questions += 1;
      if (previous !== null) cosines.push(dot(previous, vector));
      previous = vector;
    }
    if (cosines.length > 0) this.#drift.add(cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length);
  }

  snapshot(): QualitySnapshot["topic"] {
    const n = this.#questions;
    const square = dot(this.#sum, this.#sum);
    const meanCosine = n === 0 ? null : square / (n * n);
    const withoutSelfPairs = n < 2 ? null : (square - this.#selfPairs) / (n * (n - 1));
    return {
      encoder: this.#encoder.name,
      questions: n,
      meanCosine,
      meanCosineWithoutSelfPairs: withoutSelfPairs,
      diversity: meanCosine === null ? null : 1 - meanCosine,
      diversityWithoutSelfPairs: withoutSelfPairs === null ? null : 1 - withoutSelfPairs,
      consecutiveCosine: this.#drift.summary(),
    };
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += a[index]! * b[index]!;
  return sum;
}
