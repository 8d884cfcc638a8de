// Our trainer for the bench: reads a job, then how many steps to take, and says what they cost. One JSON object a line.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseConfig } from "../../runtime/importer/config.ts";
import { readJsonObject } from "../../runtime/importer/json.ts";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { AdamW } from "../../training/onnx/adamw.ts";
import { batchOf } from "../../training/onnx/batch.ts";
import { trainedTokensOf } from "../../training/onnx/examples.ts";
import { estimateMemory } from "../../training/onnx/memory-estimate.ts";
import { type Batch, Network } from "../../training/onnx/network.ts";
import { type NetworkParts, networkParts, partSizes } from "../../training/onnx/network-parts.ts";
import type { LoraShape } from "../../training/onnx/parameters.ts";
import { loadWeights, startWeights } from "../../training/onnx/weights.ts";
import type { Opened, TrainJob, Turn } from "./train-process.ts";

interface Trained {
  readonly network: Network;
  readonly optimizer: AdamW;
  readonly parts: NetworkParts;
}

const RATE = 1e-4;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const job = (await nextLine()) as TrainJob;
const { network, optimizer, parts } = await open(job);
const batches = await readBatches(job.batchFile);
const { totalBytes } = estimateMemory(
  network.config,
  { ...partSizes(parts), device: job.device, lora: loraOf(job), isCheckpointing: job.isCheckpointing },
  batches.map(({ sequences, tokens, targets }) => ({ sequences, tokens, trainedTokens: targets.length })),
);
say({
  description: `ONNX Runtime ${network.home.environment.api.version}`,
  estimatedMegabytes: totalBytes / 1e6,
} satisfies Opened);
let done = 0;
for (let message = await nextLine(); message !== null; message = await nextLine()) {
  say(await turn((message as { readonly steps: number }).steps));
}
optimizer.release();
network.release();

async function turn(steps: number): Promise<Turn> {
  const losses: number[] = [];
  const started = performance.now();
  const cpu = process.cpuUsage();
  for (let step = 0; step < steps; step += 1) {
    const batch = batches[done % batches.length]!;
    done += 1;
    const labels = batch.targets.length;
    losses.push((await network.accumulate(batch, 1 / labels, true)) / labels);
    const norm = await optimizer.gradientNorm();
    await optimizer.update(norm, { step: done, rate: RATE, decay: 0, clip: 1 });
  }
  const { user, system } = process.cpuUsage(cpu);
  return {
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: (user + system) / 1e6,
    losses,
    peakMegabytes: process.resourceUsage().maxRSS / 1000,
  };
}

function loraOf({ loraRank }: TrainJob): LoraShape | null {
  return loraRank === null ? null : { rank: loraRank, alpha: 2 * loraRank };
}

async function open(opening: TrainJob): Promise<Trained> {
  const { checkpoint, baseBits, isCheckpointing, threads } = opening;
  const decoder = parseConfig(await readJsonObject(join(checkpoint, "config.json")));
  const environment = openEnvironment({ threads, isSpinning: false });
  const device = chooseDevice(environment.api, opening.device, null, () => {});
  const lora = loraOf(opening);
  const tensors = networkParts(decoder, { lora, baseBits });
  const opened = await Network.open(environment, device, decoder, {
    ...tensors,
    lora,
    isCheckpointing,
    maxTokens: decoder.maxPositions,
    isAccumulating: false,
  });
  await loadWeights(checkpoint, decoder, lora === null ? opened.trained : opened.frozen, opened.packed);
  if (lora !== null) await startWeights(opened.trained, 1);
  const adamw = await AdamW.open(opened.home, opened.trained, opened.gradients);
  return { network: opened, optimizer: adamw, parts: tensors };
}

async function readBatches(path: string): Promise<Batch[]> {
  const read = JSON.parse(await readFile(path, "utf8")) as { input_ids: number[][]; labels: number[][] }[];
  return read.map(({ input_ids: rows, labels }) =>
    batchOf(
      rows.map((ids, row) => {
        const own = Int32Array.from(labels[row] ?? []);
        return { id: "", ids: Int32Array.from(ids), labels: own, trainedTokens: trainedTokensOf(own) };
      }),
      0,
    ),
  );
}

async function nextLine(): Promise<unknown> {
  const { value, done: isDone } = await lines.next();
  return isDone === true ? null : JSON.parse(value);
}

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
