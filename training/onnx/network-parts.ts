// Decides which tensors of a network are trained, which are frozen as they are, and which frozen ones are kept in few bits.
// It holds no values.
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import type { Bits } from "../../runtime/importer/quantize.ts";
import { isPackable, packedBytes } from "./packed-matrix.ts";
import {
  adapterParameters,
  layerLinears,
  type LoraShape,
  networkParameters,
  type Parameter,
  totalValues,
  valueCount,
} from "./parameters.ts";

export interface NetworkParts {
  readonly trained: readonly Parameter[];
  readonly frozen: readonly Parameter[];
  /** Frozen ones in `packedBits`. */
  readonly packed: readonly Parameter[];
  readonly packedBits: Bits;
}

export interface PartsOptions {
  /** Null trains all tensors. */
  readonly lora: LoraShape | null;
  /** Of the matrices that adapters stand beside; null keeps them in float32. */
  readonly baseBits?: Bits | null;
  /** Of the weights of a new network. */
  readonly deviation?: number;
}

export function networkParts(config: DecoderConfig, { lora, baseBits = null, deviation }: PartsOptions): NetworkParts {
  const whole = networkParameters(config, deviation);
  if (lora === null) return { trained: whole, frozen: [], packed: [], packedBits: 8 };
  const matrices = new Set(
    Array.from({ length: config.layers }, (_, layer) => Object.values(layerLinears(config, layer)))
      .flat()
      .map(({ name }) => `${name}.weight`),
  );
  const isPacked = (parameter: Parameter) => baseBits !== null && matrices.has(parameter.name) && isPackable(parameter);
  return {
    trained: adapterParameters(config, lora),
    frozen: whole.filter((parameter) => !isPacked(parameter)),
    packed: whole.filter(isPacked),
    packedBits: baseBits ?? 8,
  };
}

/** What an estimate of memory counts. */
export function partSizes({ trained, frozen, packed, packedBits }: NetworkParts) {
  return {
    trainedValues: totalValues(trained),
    frozenValues: totalValues(frozen),
    packedBytes: packed.reduce((sum, parameter) => sum + packedBytes(parameter, packedBits), 0),
    largestPackedValues: packed.reduce((most, parameter) => Math.max(most, valueCount(parameter)), 0),
  };
}
