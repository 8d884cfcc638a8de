// Writes what the finished checkpoint computes on real examples, for whoever imports it: reference.json with ids, labels and
// losses, reference.f32 with logits. training/train/reference.ts reads both.
// It knows a network by its logits.
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Example, IGNORED } from "./examples.ts";
import type { Network } from "./network.ts";

const REFERENCE_TOKENS = 512;
/** Rows of logits that are written in all. */
const LOGIT_ROWS = 512;

/** Writes about `count` examples, spread evenly. The network holds what was read back from the checkpoint. */
export async function writeReference(
  runFolder: string,
  network: Network,
  examples: readonly Example[],
  count: number,
): Promise<void> {
  const { vocabSize } = network.config;
  const stride = Math.max(1, Math.floor(examples.length / Math.max(1, count)));
  const chosen = examples.filter((_, index) => index % stride === 0).slice(0, count);
  const described: unknown[] = [];
  let rowsLeft = LOGIT_ROWS;
  const file = await open(join(runFolder, "reference.f32"), "w");
  try {
    for (const example of chosen) {
      const ids = example.ids.slice(0, REFERENCE_TOKENS);
      const labels = example.labels.slice(0, REFERENCE_TOKENS);
      const logits = await network.logitsOf({
        sequences: 1,
        tokens: ids.length,
        ids: BigInt64Array.from(ids, BigInt),
        rows: BigInt64Array.from(ids.keys(), BigInt),
        targets: new BigInt64Array(0),
      });
      const rows = Math.min(rowsLeft, ids.length);
      rowsLeft -= rows;
      await file.write(new Uint8Array(logits.buffer, logits.byteOffset, rows * vocabSize * 4));
      let lossSum = 0;
      let trainedTokens = 0;
      for (let at = 1; at < labels.length; at++) {
        const label = labels[at] ?? IGNORED;
        if (label === IGNORED) continue;
        lossSum += crossEntropy(logits.subarray((at - 1) * vocabSize, at * vocabSize), label);
        trainedTokens += 1;
      }
      described.push({
        id: example.id,
        input_ids: [...ids],
        labels: [...labels],
        rows,
        loss_sum: lossSum,
        trained_tokens: trainedTokens,
      });
    }
  } finally {
    await file.close();
  }
  const reference = { vocab_size: vocabSize, examples: described };
  await writeFile(join(runFolder, "reference.json"), `${JSON.stringify(reference)}\n`);
}

/** In nats, in double precision. */
function crossEntropy(logits: Float32Array, target: number): number {
  const highest = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const total = logits.reduce((sum, value) => sum + Math.exp(value - highest), 0);
  return Math.log(total) + highest - (logits[target] ?? Number.NaN);
}
