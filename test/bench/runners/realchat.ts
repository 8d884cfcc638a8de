// Our own decoder as the engine drives it: one bound run a step, then the best ids computed by the head.
import { openDecoder } from "../../../runtime/engine/decoder.ts";
import type { Decoder } from "../../../runtime/engine/decoder.ts";
import { readManifest } from "../../../runtime/manifest.ts";
import { chooseDevice } from "../../../runtime/ort/device.ts";
import { openEnvironment } from "../../../runtime/ort/environment.ts";
import { promptIds, stepsWithin } from "../runner.ts";
import type { Runner, RunnerOptions } from "../runner.ts";

const LARGEST_CHUNK = 512;

export async function openRealchat(options: RunnerOptions): Promise<Runner> {
  const { modelFolder } = options.artifacts;
  const environment = openEnvironment({ threads: options.threads });
  const manifest = await readManifest(modelFolder);
  const device = chooseDevice(environment.api, "cpu", manifest.kvPrecision, () => {});
  const { vocabSize } = manifest.network;
  let decoder: Decoder | null = null;
  let prepared = { batch: 0, contextTokens: 0 };

  const open = async (batch: number, contextTokens: number): Promise<Decoder> => {
    decoder?.release();
    decoder = await openDecoder(environment, device, {
      folder: modelFolder,
      manifest,
      slots: batch,
      maxTokens: options.windowTokens,
      prefillChunkTokens: LARGEST_CHUNK,
    });
    // Touched once, like memory that has been in use; and no step may meet NaN.
    for (const tensor of decoder.kv.rows(0, batch)) tensor.bytes.fill(0);
    prepared = { batch, contextTokens };
    return decoder;
  };

  return {
    description: `realchat on ONNX Runtime ${environment.api.version}`,
    async prepareDecode(batch, contextTokens) {
      await open(batch, contextTokens);
    },
    async decode(budgetMs) {
      if (decoder === null) throw new Error("nothing is prepared");
      const { batch, contextTokens } = prepared;
      const times: number[] = [];
      let ids = promptIds(batch, vocabSize);
      for (const step of stepsWithin(budgetMs)) {
        const startedAt = performance.now();
        await decoder.decode(
          0,
          ids,
          ids.map(() => contextTokens + step),
        );
        ids = await decoder.head.argMax(batch);
        times.push(performance.now() - startedAt);
      }
      return times;
    },
    async prefill(tokens, chunkTokens) {
      const own = decoder !== null && prepared.batch === 1 ? decoder : await open(1, 0);
      const ids = promptIds(tokens, vocabSize);
      const startedAt = performance.now();
      for (let from = 0; from < tokens; from += chunkTokens) {
        const chunk = ids.slice(from, from + chunkTokens);
        await own.prefill(0, chunk, from, from + chunk.length === tokens);
      }
      const [nextId] = await own.head.argMax(1);
      return { ms: performance.now() - startedAt, nextId: nextId! };
    },
    async close() {
      decoder?.release();
      environment.release();
    },
  };
}
