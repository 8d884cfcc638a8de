// Opens a checkpoint's network for tests and releases it after the test.
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { parseConfig } from "../../../runtime/importer/config.ts";
import { readJsonObject } from "../../../runtime/importer/json.ts";
import { chooseDevice } from "../../../runtime/ort/device.ts";
import { openEnvironment } from "../../../runtime/ort/environment.ts";
import { Network } from "../../../training/onnx/network.ts";
import { adapterParameters, type LoraShape, networkParameters } from "../../../training/onnx/parameters.ts";
import { loadWeights, startWeights } from "../../../training/onnx/weights.ts";

export interface TestNetworkOptions {
  readonly lora?: LoraShape;
  readonly isCheckpointing?: boolean;
  readonly isAccumulating?: boolean;
  readonly maxTokens?: number;
}

/** Adapters begin as in a real training. */
export async function openTestNetwork(folder: string, options: TestNetworkOptions): Promise<Network> {
  const { lora = null, isCheckpointing = false, isAccumulating = false, maxTokens = 64 } = options;
  const config = parseConfig(await readJsonObject(join(folder, "config.json")));
  const environment = openEnvironment({ threads: 1, isSpinning: false });
  const device = chooseDevice(environment.api, "cpu", null, () => {});
  const all = networkParameters(config);
  const network = await Network.open(environment, device, config, {
    lora,
    maxTokens,
    isCheckpointing,
    isAccumulating,
    trained: lora === null ? all : adapterParameters(config, lora),
    frozen: lora === null ? [] : all,
  });
  onTestFinished(() => {
    network.release();
    environment.release();
  });
  await loadWeights(folder, config, lora === null ? network.trained : network.frozen);
  if (lora !== null) await startWeights(network.trained, 1);
  return network;
}
