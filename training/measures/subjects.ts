// Owns what conversations are about, when only some of them say: each gets the subject whose labelled ones it is nearest to.
// Both kinds of question are sorted by the same rule, so that a classifier of authorship cannot live on subjects.
import { hashedGramEncoder } from "./encoder.ts";
import type { LabelledQuestion } from "./human-training.ts";

/** Several subjects at once, as "Movies+Restaurants" in the Schema-Guided Dialogue dataset: no good as an example of one. */
const SEVERAL = "+";

/** The questions, each with the subject of its source's questions taken together. Unchanged where none names a subject. */
export function assignSubjects(questions: readonly LabelledQuestion[]): LabelledQuestion[] {
  const encoder = hashedGramEncoder();
  const conversations = Array.from(Map.groupBy(questions, ({ source }) => source).values(), (own) => ({
    own,
    vector: encoder.encode(own.map(({ text }) => text).join(" ")),
  }));
  const sums = new Map<string, Float32Array>();
  for (const { own, vector } of conversations) {
    const subject = own[0]?.subject;
    if (subject === undefined || subject.includes(SEVERAL)) continue;
    const sum = sums.get(subject) ?? new Float32Array(encoder.dimensions);
    for (const [index, value] of vector.entries()) sum[index]! += value;
    sums.set(subject, sum);
  }
  const centres = Array.from(sums, ([subject, sum]) => ({ subject, centre: scaled(sum) }));
  if (centres.length === 0) return [...questions];
  return conversations.flatMap(({ own, vector }) => {
    const ranked = centres.map(({ subject, centre }) => ({ subject, cosine: dot(centre, vector) }));
    const { subject } = ranked.reduce((best, next) => (next.cosine > best.cosine ? next : best));
    return own.map((question) => ({ ...question, subject }));
  });
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += left[index]! * right[index]!;
  return sum;
}

function scaled(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(dot(vector, vector));
  return norm === 0 ? vector : vector.map((value) => value / norm);
}
