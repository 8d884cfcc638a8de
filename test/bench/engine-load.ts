// Measures the whole engine as a server uses it: throughput with sampling, and how late timers are meanwhile.
// It knows the engine by its interface alone.
import type { EngineObserver, SamplingParams } from "../../runtime/chat-model.ts";
import type { TokenEngine } from "../../runtime/engine-api.ts";
import { openEngine } from "../../runtime/engine/open-engine.ts";
import { readManifest } from "../../runtime/manifest.ts";
import { promptIds } from "./runner.ts";
import type { EngineLoad, EventLoopDelay } from "./report.ts";
import { median, quantile } from "./statistics.ts";

const PROMPT_TOKENS = 64;
const REPLY_TOKENS = 128;
const MOST_SEQUENCES = 16;
const TIMER_MS = 10;
const SAMPLING: SamplingParams = {
  temperature: 0.7,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
  seed: 0,
};

/** An open engine, and the milliseconds of every decode step it takes. */
interface WatchedEngine {
  readonly engine: TokenEngine;
  readonly stepsMs: number[];
}

/** Opens an engine on a model folder for the time of `work`. */
export async function withEngine<Result>(
  folder: string,
  threads: number,
  work: (watched: WatchedEngine) => Promise<Result>,
): Promise<Result> {
  const settings = {
    device: "cpu",
    threads,
    isSpinning: true,
    libraryPath: null,
    slots: MOST_SEQUENCES,
    contextWindow: null,
    prefillChunkTokens: 128,
    isBatchInvariant: false,
    maxWaitingRequests: 64,
    maxWaitingTokens: 1_000_000,
  } as const;
  const stepsMs: number[] = [];
  const observer: EngineObserver = {
    onStep: (_, { kind, durationMs }) => void (kind === "decode" && stepsMs.push(durationMs)),
    onSequenceEnd() {},
    onState() {},
  };
  const { engine } = await openEngine(folder, await readManifest(folder), settings, observer, () => {});
  try {
    return await work({ engine, stepsMs });
  } finally {
    await engine.close();
  }
}

/** So many callers, each asking for reply after reply of a prompt of its own, prefill included. */
export async function measureThroughput(
  { engine, stepsMs }: WatchedEngine,
  sequences: number,
  seconds: number,
): Promise<EngineLoad> {
  const stop = new AbortController();
  let tokens = 0;
  const callers = Array.from({ length: sequences }, (_, caller) =>
    converse(engine, caller, REPLY_TOKENS, stop.signal, () => (tokens += 1)),
  );
  // Until every caller is past its first prompt, fewer rows than asked for are busy.
  await sleep(500);
  const before = tokens;
  stepsMs.length = 0;
  const startedAt = performance.now();
  await sleep(seconds * 1000);
  const elapsedS = (performance.now() - startedAt) / 1000;
  const tokensPerSecond = (tokens - before) / elapsedS;
  const stepMedianMs = median(stepsMs);
  stop.abort();
  await Promise.all(callers);
  return { sequences, seconds: elapsedS, tokensPerSecond, stepMedianMs };
}

/** Watches a timer while `sequences` long replies are being written. */
export async function measureEventLoop(
  { engine }: WatchedEngine,
  sequences: number,
  seconds: number,
): Promise<EventLoopDelay> {
  const stop = new AbortController();
  const longest = engine.contextWindow - PROMPT_TOKENS;
  const speaking = new Set<number>();
  const callers = Array.from({ length: sequences }, (_, caller) =>
    converse(engine, caller, longest, stop.signal, () => speaking.add(caller)),
  );
  while (speaking.size < sequences) await sleep(TIMER_MS);
  const delaysMs: number[] = [];
  const endAt = performance.now() + seconds * 1000;
  while (performance.now() < endAt) {
    const dueAt = performance.now() + TIMER_MS;
    await sleep(TIMER_MS);
    delaysMs.push(Math.max(0, performance.now() - dueAt));
  }
  stop.abort();
  await Promise.all(callers);
  return {
    sequences,
    seconds,
    timers: delaysMs.length,
    p50Ms: quantile(delaysMs, 0.5),
    p99Ms: quantile(delaysMs, 0.99),
    maxMs: quantile(delaysMs, 1),
  };
}

async function converse(
  engine: TokenEngine,
  caller: number,
  replyTokens: number,
  signal: AbortSignal,
  onToken: () => void,
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn += 1) {
    const ids = promptIds(PROMPT_TOKENS, engine.vocabSize);
    // A first token of its own keeps every prompt from being the prefix of an older one.
    ids[0] = 300 + ((caller * 97 + turn * 13) % (engine.vocabSize - 300));
    const request = {
      promptIds: ids,
      sampling: { ...SAMPLING, seed: caller * 1_000_003 + turn },
      choiceIndex: 0,
      maxTokens: replyTokens,
      stopIds: new Set<number>(),
      bannedFirstIds: new Set<number>(),
    };
    try {
      for await (const event of engine.generate(request, signal)) if (event.type === "token") onToken();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
