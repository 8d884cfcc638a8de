// The networks that are measured: their sizes, precision and the context lengths that fit.
// It knows no file; what is made from a shape is artifacts.ts.

/** Sizes in the words of a Hugging Face config.json's reader. */
export interface NetworkSizes {
  readonly architecture: "llama" | "qwen2";
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly ropeTheta: number;
}

export interface BenchShape {
  readonly id: string;
  readonly title: string;
  readonly sizes: NetworkSizes;
  readonly precision: "int8" | "int4";
  /** Positions of a sequence. */
  readonly windowTokens: number;
  /** Short and long, by the flag's values; a window too small for the long one has its own. */
  readonly longContextTokens: number;
  /** A model folder of the repository instead of random weights. */
  readonly modelFolder: string | null;
}

/** As in llama.cpp's Q4_0. */
export const DEFAULT_BLOCK_SIZE = 64;

export const SHAPES: readonly BenchShape[] = [
  {
    id: "pair",
    title: "seed pair (3M, int8)",
    sizes: {
      architecture: "llama",
      hiddenSize: 192,
      intermediateSize: 512,
      layers: 6,
      heads: 6,
      kvHeads: 3,
      headDim: 32,
      vocabSize: 4096,
      ropeTheta: 10_000,
    },
    precision: "int8",
    windowTokens: 1024,
    longContextTokens: 900,
    modelFolder: "test/fixtures/seed-pair/usergpt",
  },
  {
    id: "135m",
    title: "SmolLM2-135M shapes (int4)",
    sizes: {
      architecture: "llama",
      hiddenSize: 576,
      intermediateSize: 1536,
      layers: 30,
      heads: 9,
      kvHeads: 3,
      headDim: 64,
      vocabSize: 49_152,
      ropeTheta: 100_000,
    },
    precision: "int4",
    windowTokens: 2048,
    longContextTokens: 1500,
    modelFolder: null,
  },
  {
    id: "0.5b",
    title: "Qwen2.5-0.5B shapes (int4)",
    sizes: {
      architecture: "qwen2",
      hiddenSize: 896,
      intermediateSize: 4864,
      layers: 24,
      heads: 14,
      kvHeads: 2,
      headDim: 64,
      vocabSize: 151_936,
      ropeTheta: 1_000_000,
    },
    precision: "int4",
    windowTokens: 2048,
    longContextTokens: 1500,
    modelFolder: null,
  },
];

/** Too large to be served beside others here; training on a card is measured with it. */
export const CARD_SHAPE: BenchShape = {
  id: "1b",
  title: "Llama-3.2-1B shapes",
  sizes: {
    architecture: "llama",
    hiddenSize: 2048,
    intermediateSize: 8192,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    vocabSize: 128_256,
    ropeTheta: 500_000,
  },
  precision: "int4",
  windowTokens: 2048,
  longContextTokens: 1500,
  modelFolder: null,
};

/** The wanted context lengths, those beyond the window replaced by the shape's own long one. */
export function contextsFor(shape: BenchShape, wanted: readonly number[]): number[] {
  const room = shape.windowTokens - 64;
  return [...new Set(wanted.map((tokens) => (tokens <= room ? tokens : shape.longContextTokens)))];
}
