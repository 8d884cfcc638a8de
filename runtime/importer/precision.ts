// What each precision means for the graph: bits, types and kernel accuracy, defaults included.
import type { Bits } from "./quantize.ts";
import type { WeightFormat } from "./weight-operators.ts";
import type { WeightType } from "./weight-plan.ts";

export const PRECISIONS = ["float32", "float16", "int8", "int4"] as const;

export type Precision = (typeof PRECISIONS)[number];

/** Null means the default of the precision. */
export interface FormatOptions {
  readonly precision: Precision;
  /** Of the embedding and the output head. */
  readonly headPrecision: Precision | null;
  readonly kvPrecision: WeightType | null;
  /** Values that share a scale. */
  readonly blockSize: number;
  readonly accuracyLevel: number | null;
}

/** 8-bit activations inside the kernel: see docs on measured speed and error. */
const QUANTIZED_ACCURACY_LEVEL = 4;

/** The graph's formats. Quantized weights flow in the cache's type: float32 is quick on CPUs, float16 on GPUs. */
export function resolveFormat(options: FormatOptions): WeightFormat & { readonly kvType: WeightType } {
  const { precision, headPrecision, kvPrecision, blockSize } = options;
  const kvType = kvPrecision ?? (precision === "float16" ? "float16" : "float32");
  const accuracyLevel = options.accuracyLevel ?? QUANTIZED_ACCURACY_LEVEL;
  return {
    activationType: precision === "float32" || precision === "float16" ? precision : kvType,
    bits: bitsOf(precision),
    headBits: bitsOf(headPrecision ?? precision),
    blockSize,
    accuracyLevel,
    headAccuracyLevel: accuracyLevel,
    kvType,
  };
}

function bitsOf(precision: Precision): Bits | null {
  if (precision === "int4") return 4;
  return precision === "int8" ? 8 : null;
}
