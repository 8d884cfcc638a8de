// Opens a checkpoint's network for tests and releases it after the test.
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { parseConfig } from "../../../runtime/importer/config.ts";
import type { Bits } from "../../../runtime/importer/quantize.ts";
import { readJsonObject } from "../../../runtime/importer/json.ts";
import { chooseDevice, type DeviceName } from "../../../runtime/ort/device.ts";
import { openEnvironment } from "../../../runtime/ort/environment.ts";
import { Network } from "../../../training/onnx/network.ts";
import { networkParts } from "../../../training/onnx/network-parts.ts";
import type { LoraShape } from "../../../training/onnx/parameters.ts";
import { loadWeights, startWeights } from "../../../training/onnx/weights.ts";

export interface TestNetworkOptions {
  readonly lora?: LoraShape;
  readonly baseBits?: Bits;
  readonly isCheckpointing?: boolean;
  readonly isAccumulating?: boolean;
  readonly maxTokens?: number;
  readonly device?: DeviceName;
}

/** Adapters begin as in a real training. */
export async function openTestNetwork(folder: string, options: TestNetworkOptions): Promise<Network> {
  const { lora = null, baseBits = null, isCheckpointing = false, isAccumulating = false, maxTokens = 64 } = options;
  const config = parseConfig(await readJsonObject(join(folder, "config.json")));
  const environment = openEnvironment({ threads: 1, isSpinning: false });
  const device = chooseDevice(environment.api, options.device ?? "cpu", null, () => {});
  const network = await Network.open(environment, device, config, {
    ...networkParts(config, { lora, baseBits }),
    lora,
    maxTokens,
    isCheckpointing,
    isAccumulating,
  });
  onTestFinished(() => {
    network.release();
    environment.release();
  });
  await loadWeights(folder, config, lora === null ? network.trained : network.frozen, network.packed);
  if (lora !== null) await startWeights(network.trained, 1);
  return network;
}
