// The same graph through onnxruntime-node's own `session.run`, in its best form: every tensor is made once, and each
// layer's present is fetched into the very memory that is its past. It copies every output nevertheless, so how long the
// slots are decides its speed: as long as ours, or, at best, cut to what the measurement needs.
import { createRequire } from "node:module";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { argMax, promptIds, ROOM_TOKENS, stepsWithin } from "../runner.ts";
import type { Runner, RunnerOptions } from "../runner.ts";

type Tensors = Record<string, Tensor>;

/** `hasCutSlots`: slots end where the measurement does, which no server could know beforehand. */
export async function openOnnxruntimeNode(options: RunnerOptions, hasCutSlots: boolean): Promise<Runner> {
  const { sizes, threads, windowTokens } = options;
  const session = await InferenceSession.create(join(options.artifacts.modelFolder, "model.onnx"), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    extra: { session: { set_denormal_as_zero: "1" } },
  });
  let caches: { past: Tensors; present: Tensors } | null = null;
  let prepared = { batch: 0, contextTokens: 0, maxTokens: 0 };

  const allocate = (batch: number, contextTokens: number, maxTokens: number): void => {
    const shape = [batch, sizes.kvHeads, maxTokens, sizes.headDim];
    const past: Tensors = {};
    const present: Tensors = {};
    for (let layer = 0; layer < sizes.layers; layer += 1) {
      for (const part of ["key", "value"]) {
        const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
        const tensor = new Tensor("float32", values, shape);
        past[`past_key_values.${layer}.${part}`] = tensor;
        present[`present.${layer}.${part}`] = tensor;
      }
    }
    caches = { past, present };
    prepared = { batch, contextTokens, maxTokens };
  };

  // `logits` is made by the caller once for a whole measurement.
  const run = async (ids: readonly number[], rows: number, past: number, logits: Tensor): Promise<void> => {
    if (caches === null) throw new Error("nothing is prepared");
    const columns = ids.length / rows;
    const logitRows = logits.dims[0]!;
    const total = past + columns;
    const feeds = {
      ...caches.past,
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [rows, columns]),
      seqlens_k: new Tensor("int32", new Int32Array(rows).fill(total - 1), [rows]),
      total_sequence_length: new Tensor("int32", Int32Array.of(total), []),
      logit_rows: new Tensor(
        "int64",
        BigInt64Array.from({ length: logitRows }, (_, row) => BigInt(rows === 1 ? columns - 1 : row)),
        [logitRows],
      ),
    };
    await session.run(feeds, { ...caches.present, logits });
  };
  const logitsFor = (rows: number): Tensor =>
    new Tensor("float32", new Float32Array(rows * sizes.vocabSize), [rows, sizes.vocabSize]);
  const best = (logits: Tensor): number[] => {
    const values = logits.data as Float32Array;
    return Array.from({ length: logits.dims[0]! }, (_, row) => argMax(values, row * sizes.vocabSize, sizes.vocabSize));
  };

  return {
    description: `onnxruntime-node ${packageVersion()} session.run${hasCutSlots ? ", slots cut to the context" : ""}`,
    async prepareDecode(batch, contextTokens) {
      allocate(batch, contextTokens, hasCutSlots ? contextTokens + ROOM_TOKENS : windowTokens);
    },
    async decode(budgetMs) {
      const { batch, contextTokens } = prepared;
      const logits = logitsFor(batch);
      const times: number[] = [];
      let ids = promptIds(batch, sizes.vocabSize);
      for (const step of stepsWithin(budgetMs)) {
        const startedAt = performance.now();
        await run(ids, batch, contextTokens + step, logits);
        ids = best(logits);
        times.push(performance.now() - startedAt);
      }
      return times;
    },
    async prefill(tokens, chunkTokens) {
      const slotTokens = hasCutSlots ? tokens : windowTokens;
      if (prepared.batch !== 1 || prepared.maxTokens !== slotTokens) allocate(1, 0, slotTokens);
      const ids = promptIds(tokens, sizes.vocabSize);
      const none = logitsFor(0);
      const last = logitsFor(1);
      const startedAt = performance.now();
      for (let from = 0; from < tokens; from += chunkTokens) {
        const chunk = ids.slice(from, from + chunkTokens);
        await run(chunk, 1, from, from + chunk.length === tokens ? last : none);
      }
      const [nextId] = best(last);
      return { ms: performance.now() - startedAt, nextId: nextId! };
    },
    async close() {
      caches = null;
      await session.release();
    },
  };
}

function packageVersion(): string {
  const packageJson: unknown = createRequire(import.meta.url)("onnxruntime-node/package.json");
  return (packageJson as { version: string }).version;
}
