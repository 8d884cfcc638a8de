// `@huggingface/transformers` for JavaScript: its model class over the same graph and weights, key-values growing by a
// token a step as that library keeps them. Its `forward` is called directly, without the cost of its generation loop.
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { argMax, promptIds, stepsWithin } from "../runner.ts";
import type { Runner, RunnerOptions } from "../runner.ts";

interface HubTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

interface Library {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly Tensor: new (
    type: "int64" | "float32",
    data: BigInt64Array | Float32Array,
    dims: readonly number[],
  ) => HubTensor;
  readonly AutoModelForCausalLM: {
    from_pretrained(
      name: string,
      options: { dtype: "fp32"; device: "cpu"; local_files_only: true; session_options: Record<string, unknown> },
    ): Promise<HubModel>;
  };
}

interface HubModel {
  forward(inputs: {
    input_ids: HubTensor;
    attention_mask: HubTensor;
    past_key_values: Readonly<Record<string, HubTensor>>;
  }): Promise<Readonly<Record<string, HubTensor>>>;
  dispose(): Promise<unknown>;
}

type Cache = Readonly<Record<string, HubTensor>>;

export async function openTransformers(options: RunnerOptions): Promise<Runner> {
  const { sizes, threads } = options;
  const { transformersFolder } = options.artifacts;
  const folder = join(options.opponentsFolder, "transformers", "node_modules", "@huggingface", "transformers");
  const packageJson = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
  const library = (await import(pathToFileURL(join(folder, "dist", "transformers.node.mjs")).href)) as Library;
  library.env.allowRemoteModels = false;
  library.env.localModelPath = dirname(transformersFolder);
  const model = await library.AutoModelForCausalLM.from_pretrained(basename(transformersFolder), {
    dtype: "fp32",
    device: "cpu",
    local_files_only: true,
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3 },
  });
  let prepared: { batch: number; contextTokens: number; cache: Cache } | null = null;

  const emptyCache = (batch: number, tokens: number): Cache => {
    const shape = [batch, sizes.kvHeads, tokens, sizes.headDim];
    const cache: Record<string, HubTensor> = {};
    for (let layer = 0; layer < sizes.layers; layer += 1) {
      for (const part of ["key", "value"]) {
        const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
        cache[`past_key_values.${layer}.${part}`] = new library.Tensor("float32", values, shape);
      }
    }
    return cache;
  };
  const run = async (
    ids: readonly number[],
    rows: number,
    past: number,
    cache: Cache,
  ): Promise<{ best: number[]; cache: Cache }> => {
    const columns = ids.length / rows;
    const outputs = await model.forward({
      input_ids: new library.Tensor("int64", BigInt64Array.from(ids, BigInt), [rows, columns]),
      attention_mask: new library.Tensor("int64", new BigInt64Array(rows * (past + columns)).fill(1n), [
        rows,
        past + columns,
      ]),
      past_key_values: cache,
    });
    const { logits, ...present } = outputs;
    if (logits === undefined) throw new Error("the model gave no logits");
    const next = Object.entries(present).map(([name, tensor]) => [name.replace("present", "past_key_values"), tensor]);
    const best = Array.from({ length: rows }, (_, row) => argMax(logits.data, row * sizes.vocabSize, sizes.vocabSize));
    return { best, cache: Object.fromEntries(next) as Cache };
  };

  return {
    description: `@huggingface/transformers ${packageJson.version} forward`,
    async prepareDecode(batch, contextTokens) {
      prepared = { batch, contextTokens, cache: emptyCache(batch, contextTokens) };
    },
    async decode(budgetMs) {
      if (prepared === null) throw new Error("nothing is prepared");
      const { batch, contextTokens } = prepared;
      let { cache } = prepared;
      const times: number[] = [];
      let ids = promptIds(batch, sizes.vocabSize);
      for (const step of stepsWithin(budgetMs)) {
        const startedAt = performance.now();
        const result = await run(ids, batch, contextTokens + step, cache);
        times.push(performance.now() - startedAt);
        ids = result.best;
        cache = result.cache;
      }
      return times;
    },
    async prefill(tokens, chunkTokens) {
      const ids = promptIds(tokens, sizes.vocabSize);
      let cache = emptyCache(1, 0);
      let best: readonly number[] = [];
      const startedAt = performance.now();
      for (let from = 0; from < tokens; from += chunkTokens) {
        ({ cache, best } = await run(ids.slice(from, from + chunkTokens), 1, from, cache));
      }
      return { ms: performance.now() - startedAt, nextId: best[0]! };
    },
    async close() {
      await model.dispose();
    },
  };
}
