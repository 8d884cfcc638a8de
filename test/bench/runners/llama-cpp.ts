// llama.cpp through node-llama-cpp: one context with as many parallel sequences as the batch has, fed in step.
// Only what is used of the package is described here, since it is installed by the bench and not by the repository.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promptIds, ROOM_TOKENS, stepsWithin } from "../runner.ts";
import type { Runner, RunnerOptions } from "../runner.ts";

type Evaluated = readonly ({ readonly next: { readonly token?: number | null } } | undefined)[];

interface LlamaSequence {
  readonly nextTokenIndex: number;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  controlledEvaluate(
    input: readonly (number | readonly [number, { generateNext: { token: true; options: { temperature: 0 } } }])[],
  ): Promise<Evaluated>;
  eraseContextTokenRanges(ranges: readonly { start: number; end: number }[]): Promise<void>;
  clearHistory(): Promise<void>;
  saveStateToFile(path: string): Promise<unknown>;
  loadStateFromFile(path: string, risk: { acceptRisk: true }): Promise<void>;
}

interface LlamaContext {
  readonly currentThreads: number;
  readonly flashAttention: "auto" | boolean;
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}

interface LlamaModel {
  createContext(options: {
    sequences: number;
    contextSize: number;
    batchSize: number;
    threads: { ideal: number; min: number };
  }): Promise<LlamaContext>;
  dispose(): Promise<void>;
}

interface Llama {
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: { modelPath: string; gpuLayers: 0 }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}

interface NodeLlamaCpp {
  getLlama(options: {
    gpu: false;
    build: "never";
    maxThreads: number;
    progressLogs: false;
    logLevel: "error";
  }): Promise<Llama>;
}

const BATCH_TOKENS = 512;
const NEXT = { generateNext: { token: true, options: { temperature: 0 } } } as const;

export async function openLlamaCpp(options: RunnerOptions): Promise<Runner> {
  const { sizes, threads, artifacts } = options;
  const folder = join(options.opponentsFolder, "llama.cpp", "node_modules", "node-llama-cpp");
  const library = (await import(pathToFileURL(join(folder, "dist", "index.js")).href)) as NodeLlamaCpp;
  const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
  const llama = await library.getLlama({
    gpu: false,
    build: "never",
    maxThreads: threads,
    progressLogs: false,
    logLevel: "error",
  });
  const model = await llama.loadModel({ modelPath: artifacts.ggufPath, gpuLayers: 0 });
  const statePath = `${artifacts.ggufPath}.${process.pid}.state`;
  let context: LlamaContext | null = null;
  let sequences: LlamaSequence[] = [];
  let prepared = { contextTokens: 0, maxTokens: 0 };

  const open = async (batch: number, contextTokens: number, maxTokens: number): Promise<void> => {
    await context?.dispose();
    context = await model.createContext({
      sequences: batch,
      contextSize: maxTokens,
      batchSize: BATCH_TOKENS,
      threads: { ideal: threads, min: threads },
    });
    const opened = context;
    sequences = Array.from({ length: batch }, () => opened.getSequence());
    prepared = { contextTokens, maxTokens };
  };

  return {
    description: `node-llama-cpp ${version}, llama.cpp ${llama.llamaCppRelease.release}`,
    async prepareDecode(batch, contextTokens) {
      await open(batch, contextTokens, contextTokens + ROOM_TOKENS);
      const [first, ...others] = sequences;
      if (first === undefined) throw new Error("a batch has at least one sequence");
      await first.evaluateWithoutGeneratingNewTokens(promptIds(contextTokens, sizes.vocabSize));
      if (others.length === 0) return;
      // The same prompt for all: computed once, restored into the others.
      await first.saveStateToFile(statePath);
      for (const sequence of others) await sequence.loadStateFromFile(statePath, { acceptRisk: true });
      await rm(statePath);
    },
    async decode(budgetMs) {
      const times: number[] = [];
      for (const sequence of sequences) {
        const { nextTokenIndex } = sequence;
        if (nextTokenIndex > prepared.contextTokens) {
          await sequence.eraseContextTokenRanges([{ start: prepared.contextTokens, end: nextTokenIndex }]);
        }
      }
      let ids = promptIds(sequences.length, sizes.vocabSize);
      for (const _ of stepsWithin(budgetMs)) {
        const startedAt = performance.now();
        const results = await Promise.all(
          sequences.map((sequence, row) => sequence.controlledEvaluate([[ids[row]!, NEXT]])),
        );
        times.push(performance.now() - startedAt);
        ids = results.map((result) => result[0]?.next.token ?? 300);
      }
      return times;
    },
    async prefill(tokens, chunkTokens) {
      if (sequences.length !== 1 || prepared.maxTokens < tokens + ROOM_TOKENS) {
        await open(1, 0, tokens + ROOM_TOKENS);
      }
      const sequence = sequences[0]!;
      await sequence.clearHistory();
      const ids = promptIds(tokens, sizes.vocabSize);
      let results: Evaluated = [];
      const startedAt = performance.now();
      for (let from = 0; from < tokens; from += chunkTokens) {
        const chunk = ids.slice(from, from + chunkTokens);
        const last = chunk.pop()!;
        const isLast = from + chunk.length + 1 === tokens;
        if (isLast) results = await sequence.controlledEvaluate([...chunk, [last, NEXT]]);
        else await sequence.evaluateWithoutGeneratingNewTokens([...chunk, last]);
      }
      return { ms: performance.now() - startedAt, nextId: results.at(-1)?.next.token ?? -1 };
    },
    async close() {
      await context?.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}
