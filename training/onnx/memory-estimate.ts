// Estimates how much memory a training takes, before it starts: weights, gradients, moments, and what the largest batch keeps
// for its backward pass. Arithmetic only; docs/training.md holds it against measurements.
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import type { DeviceName } from "../../runtime/ort/device.ts";
import type { LoraShape } from "./parameters.ts";

const BYTES_PER_VALUE = 4;
/** Value, gradient and two moments. */
const VALUES_PER_TRAINED = 4;
/** Logits, their softmax and what is being computed from them. */
const HEAD_COPIES = 3;
/** What allocators take beyond what is asked of them. */
const ALLOCATOR_SHARE = 1.15;
/** The program, its libraries and the examples; on a card what CUDA and its libraries keep for every graph, by measurement. */
const PROCESS_BYTES: Readonly<Record<DeviceName, number>> = { cpu: 150e6, webgpu: 150e6, cuda: 4500e6 };

/** The size of a batch. */
export interface BatchSize {
  readonly sequences: number;
  /** Of the longest. */
  readonly tokens: number;
  readonly trainedTokens: number;
}

export interface MemoryOptions {
  readonly device: DeviceName;
  readonly trainedValues: number;
  readonly frozenValues: number;
  /** Of frozen matrices in few bits. */
  readonly packedBytes: number;
  /** Values of the largest of them, which is unpacked on the way back. */
  readonly largestPackedValues: number;
  readonly lora: LoraShape | null;
  readonly isCheckpointing: boolean;
}

export interface MemoryEstimate {
  /** Weights, gradients and moments. */
  readonly stateBytes: number;
  /** What the largest batch needs beside them. */
  readonly passBytes: number;
  readonly totalBytes: number;
}

/** `batches` are those of an epoch. */
export function estimateMemory(
  config: DecoderConfig,
  { device, trainedValues, frozenValues, packedBytes, largestPackedValues, lora, isCheckpointing }: MemoryOptions,
  batches: readonly BatchSize[],
): MemoryEstimate {
  const stateBytes = (VALUES_PER_TRAINED * trainedValues + frozenValues) * BYTES_PER_VALUE + packedBytes;
  const largest = batches.reduce((most, batch) => Math.max(most, passValues(config, lora, isCheckpointing, batch)), 0);
  const passBytes = (largest + 2 * largestPackedValues) * BYTES_PER_VALUE * ALLOCATOR_SHARE;
  return { stateBytes, passBytes, totalBytes: stateBytes + passBytes + PROCESS_BYTES[device] };
}

function passValues(config: DecoderConfig, lora: LoraShape | null, isCheckpointing: boolean, batch: BatchSize): number {
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = config;
  const { sequences, tokens, trainedTokens } = batch;
  // The matrix of attention, which dominates from about a thousand tokens on.
  const shares = heads * tokens;
  const kept =
    4 * hiddenSize +
    2 * heads * headDim +
    2 * kvHeads * headDim +
    5 * intermediateSize +
    7 * (lora?.rank ?? 0) +
    shares;
  const perToken = isCheckpointing ? layers * hiddenSize + kept + 3 * shares : layers * kept + 2 * shares;
  return sequences * tokens * perToken + HEAD_COPIES * vocabSize * trainedTokens;
}

/** Why a training should not start, as a sentence; null when it may. */
export function memoryProblem({ totalBytes }: MemoryEstimate, availableBytes: number): string | null {
  if (totalBytes <= availableBytes) return null;
  return (
    `the training needs about ${gigabytes(totalBytes)} of memory and ${gigabytes(availableBytes)} are free: ` +
    "lower --batch-tokens or --context, take --gradient-checkpointing or --method lora, or start it with --ignore-memory"
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
