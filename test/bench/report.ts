// The JSON document of a bench run: plain data, written once, read by people and scripts.
import { cpus, release, totalmem, type } from "node:os";
import type { RunnerName } from "./runner.ts";
import type { Summary } from "./statistics.ts";

export interface Cell {
  readonly results: Partial<Record<RunnerName, Summary>>;
  /** Others' time ÷ ours, of medians round by round: above 1 they are slower. */
  readonly ratios: Partial<Record<RunnerName, number>>;
  /** The same of the quickest samples: what a busy machine disturbs least. */
  readonly bestRatios: Partial<Record<RunnerName, number>>;
}

/** Milliseconds of a step, all sequences together. */
export interface DecodeCell extends Cell {
  readonly batch: number;
  readonly contextTokens: number;
}

/** Milliseconds of a whole prompt. */
export interface PrefillCell extends Cell {
  readonly promptTokens: number;
  readonly chunkTokens: number;
  /** The token each would say next: equal where the weights are. */
  readonly nextIds: Partial<Record<RunnerName, number>>;
}

export interface EngineLoad {
  readonly sequences: number;
  readonly seconds: number;
  /** Prompts of 64 tokens are computed meanwhile, one for every 128 tokens said. */
  readonly tokensPerSecond: number;
  /** Of a decode step, sampling included. */
  readonly stepMedianMs: number;
}

/** Milliseconds by which a 10 ms timer was late. */
export interface EventLoopDelay {
  readonly sequences: number;
  readonly seconds: number;
  readonly timers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ShapeReport {
  readonly id: string;
  readonly title: string;
  readonly precision: string;
  /** Quantized values that share a scale; null where the repository's own model folder was measured. */
  readonly blockSize: number | null;
  readonly decode: readonly DecodeCell[];
  readonly prefill: readonly PrefillCell[];
  readonly engine: readonly EngineLoad[];
  readonly eventLoop: EventLoopDelay | null;
  readonly notMeasured: readonly { readonly runner: RunnerName; readonly reason: string }[];
}

export interface Report {
  readonly bench: "realchat";
  readonly startedAt: string;
  readonly hardware: Hardware;
  readonly versions: Readonly<Record<string, string>>;
  readonly threads: number;
  readonly rounds: number;
  readonly shapes: readonly ShapeReport[];
}

export interface Hardware {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Share of the processors that something else used just before the run: figures suffer from about 0.1 on. */
  readonly busyBefore: number;
}

/** Looks at the machine for a second. */
export async function readHardware(): Promise<Hardware> {
  const before = processorTimes();
  await new Promise((resolve) => void setTimeout(resolve, 1000));
  const after = processorTimes();
  const all = after.all - before.all;
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${process.arch}`,
    busyBefore: all === 0 ? 0 : Number((1 - (after.idle - before.idle) / all).toFixed(2)),
  };
}

function processorTimes(): { idle: number; all: number } {
  const times = cpus().map((cpu) => cpu.times);
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.map((time) => sum(Object.values(time)))) };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
