// Owns a fitted human-likeness classifier: how likely it takes a question to be a person's, and its form as JSON.
// It does not know how it was fitted (human-training.ts) nor what the questions are of.
import { z } from "zod";
import { FEATURES, GRAM_DIMENSIONS, humanFeatures, styleNames } from "./human-features.ts";
import type { HumanFeatures } from "./human-features.ts";

/** How well a classifier tells the two apart, on questions it was not fitted on. A ratio means nothing without these. */
export interface HumanLikenessReport {
  readonly name: string;
  readonly trainedOn: { readonly human: number; readonly simulated: number };
  readonly heldOut: { readonly human: number; readonly simulated: number };
  /** Whether held-out questions come from other sources than those fitted on; else only from other texts. */
  readonly isSplitBySource: boolean;
  readonly auc: number;
  /** Share of held-out real questions taken for human: no simulator can be expected to come above. */
  readonly ceiling: number;
  /** Share of held-out simulated questions taken for human. */
  readonly floor: number;
}

export interface HumanLikenessWeights {
  readonly grams: Float32Array;
  readonly styles: Float64Array;
  readonly bias: number;
}

/** Probability, 0 to 1, that a person wrote the question. */
export function humanProbability(weights: HumanLikenessWeights, text: string): number {
  return 1 / (1 + Math.exp(-score(weights, humanFeatures(text))));
}

export function score(weights: HumanLikenessWeights, features: HumanFeatures): number {
  let sum = 0;
  for (const dimension of features.grams) sum += weights.grams[dimension]!;
  sum = sum * features.gramValue + weights.bias;
  for (let index = 0; index < features.styles.length; index += 1)
    sum += weights.styles[index]! * features.styles[index]!;
  return sum;
}

export interface HumanLikenessModel {
  readonly weights: HumanLikenessWeights;
  readonly report: HumanLikenessReport;
}

const share = z.number().min(0).max(1);
const counts = z.object({ human: z.int().nonnegative(), simulated: z.int().nonnegative() });
const gramBytes = GRAM_DIMENSIONS * Float32Array.BYTES_PER_ELEMENT;

const fileSchema = z.object({
  format: z.literal("human-likeness/1"),
  features: z.literal(FEATURES),
  report: z.object({
    name: z.string().min(1),
    trainedOn: counts,
    heldOut: counts,
    isSplitBySource: z.boolean(),
    auc: share,
    ceiling: share,
    floor: share,
  }),
  bias: z.number(),
  styles: z.array(z.number()).length(styleNames.length),
  /** Little-endian 32-bit floats. */
  grams: z.base64().refine((text) => Buffer.from(text, "base64").length === gramBytes, {
    error: `must be ${gramBytes} bytes in base64`,
  }),
});

/** What a file says of itself besides; kept for readers, not used. */
export interface AboutHumanLikeness {
  readonly licence?: string | undefined;
  readonly origin?: string | undefined;
  /** Figures on other questions than those it was fitted on or held out from it. */
  readonly checks?: readonly { readonly name: string }[];
}

export type HumanLikenessFile = AboutHumanLikeness & z.infer<typeof fileSchema>;

/** Plain JSON, about 90 kB. */
export function writeHumanLikeness(
  { weights, report }: HumanLikenessModel,
  about: AboutHumanLikeness = {},
): HumanLikenessFile {
  const bytes = Buffer.alloc(gramBytes);
  for (const [index, value] of weights.grams.entries()) bytes.writeFloatLE(value, index * 4);
  return {
    format: "human-likeness/1",
    features: FEATURES,
    ...about,
    report,
    bias: weights.bias,
    styles: [...weights.styles],
    grams: bytes.toString("base64"),
  };
}

/** Throws an Error that names the first field that is wrong. */
export function readHumanLikeness(json: unknown): HumanLikenessModel {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? "the file" : `"${issue.path.join(".")}"`;
    throw new Error(`Not a human-likeness model: ${field}: ${issue?.message ?? "unreadable"}.`);
  }
  const { report, bias, styles, grams } = parsed.data;
  const bytes = Buffer.from(grams, "base64");
  const values = Float32Array.from({ length: GRAM_DIMENSIONS }, (_, index) => bytes.readFloatLE(index * 4));
  return { report, weights: { bias, styles: Float64Array.from(styles), grams: values } };
}
