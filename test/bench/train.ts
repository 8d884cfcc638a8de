// Measures training beside PyTorch: the same checkpoint, batches and settings, each in a process of its own, turn by turn (A B B A).
// Neither spins while it waits. Progress and a table on standard error, one JSON document as the last line of standard output.
// On a card it counts the card's memory too, and holds it against what we estimate.
// Example: REALCHAT_PYTHON=.venv/bin/python node test/bench/train.ts --cases pair-full,135m-lora --rounds 4
// Example: REALCHAT_PYTHON=.venv/bin/python node test/bench/train.ts --cases 1b-lora --device cuda
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { randomOf } from "./random.ts";
import { writeCheckpoint } from "./checkpoint-writer.ts";
import { CARD_SHAPE, SHAPES } from "./shapes.ts";
import { median } from "./statistics.ts";
import { type Opened, openTrainProcess, type TrainJob, type TrainProcess, type Turn } from "./train-process.ts";

interface TrainCase {
  readonly id: string;
  readonly shape: string;
  readonly loraRank: number | null;
  readonly baseBits?: 4 | 8;
  readonly isCheckpointing: boolean;
  readonly sequences: number;
  readonly tokens: number;
  /** Of ten tokens, how many are in the loss, one behind the other. */
  readonly trainedOfTen: number;
  /** Steps of one turn. */
  readonly steps: number;
}

const CASES: readonly TrainCase[] = [
  {
    id: "pair-full",
    shape: "pair",
    loraRank: null,
    isCheckpointing: false,
    sequences: 16,
    tokens: 256,
    trainedOfTen: 10,
    steps: 5,
  },
  {
    id: "pair-full-checkpointing",
    shape: "pair",
    loraRank: null,
    isCheckpointing: true,
    sequences: 16,
    tokens: 256,
    trainedOfTen: 10,
    steps: 5,
  },
  {
    id: "pair-lora",
    shape: "pair",
    loraRank: 16,
    isCheckpointing: false,
    sequences: 16,
    tokens: 256,
    trainedOfTen: 4,
    steps: 5,
  },
  {
    id: "135m-lora",
    shape: "135m",
    loraRank: 16,
    isCheckpointing: false,
    sequences: 2,
    tokens: 512,
    trainedOfTen: 4,
    steps: 1,
  },
  {
    id: "135m-lora-checkpointing",
    shape: "135m",
    loraRank: 16,
    isCheckpointing: true,
    sequences: 2,
    tokens: 512,
    trainedOfTen: 4,
    steps: 1,
  },
  {
    id: "135m-lora-int4",
    shape: "135m",
    loraRank: 16,
    baseBits: 4,
    isCheckpointing: true,
    sequences: 2,
    tokens: 512,
    trainedOfTen: 4,
    steps: 1,
  },
  {
    id: "135m-full",
    shape: "135m",
    loraRank: null,
    isCheckpointing: false,
    sequences: 2,
    tokens: 512,
    trainedOfTen: 10,
    steps: 1,
  },
  ...[false, true].map((isCheckpointing) => ({
    id: `1b-lora${isCheckpointing ? "-checkpointing" : ""}`,
    shape: "1b",
    loraRank: 16,
    isCheckpointing,
    sequences: 8,
    tokens: 512,
    trainedOfTen: 4,
    steps: 5,
  })),
];

/** Batches that are repeated over and over; the first turn of each process is not counted. */
const BATCHES = 5;

interface Figures {
  readonly tokensPerSecond: number;
  readonly tokensPerCpuSecond: number;
  readonly peakMegabytes: number;
  /** Of the card; null on a CPU. */
  readonly cardMegabytes: number | null;
  /** What we say before the start that it takes; PyTorch says nothing. */
  readonly estimatedMegabytes: number | null;
  readonly description: string;
}

const { values: flags } = parseArgs({
  options: {
    cases: { type: "string", default: "pair-full,pair-lora,135m-lora" },
    rounds: { type: "string", default: "4" },
    threads: { type: "string", default: String(availableParallelism()) },
    device: { type: "string", default: "cpu" },
  },
});
if (flags.device !== "cpu" && flags.device !== "cuda") throw new Error("--device must be cpu or cuda");
await measure(flags.cases.split(","), Number(flags.rounds), Number(flags.threads), flags.device);

async function measure(ids: readonly string[], rounds: number, threads: number, device: "cpu" | "cuda"): Promise<void> {
  const python = process.env["REALCHAT_PYTHON"];
  const programs = python === undefined ? (["realchat"] as const) : (["realchat", "pytorch"] as const);
  if (python === undefined) console.error("REALCHAT_PYTHON names no Python with PyTorch: only our own figures");
  const results: unknown[] = [];
  for (const id of ids) {
    const found = CASES.find((known) => known.id === id);
    if (found === undefined)
      throw new Error(`--cases must be of ${CASES.map((known) => known.id).join(", ")}; found "${id}"`);
    const folder = await mkdtemp(join(tmpdir(), "realchat-train-"));
    try {
      const job = await writeJob(folder, found, threads, device);
      const processes = new Map<string, TrainProcess>();
      try {
        for (const name of programs) processes.set(name, await openTrainProcess(name, python ?? "", job));
        results.push(await race(found, rounds, processes));
      } finally {
        for (const child of processes.values()) await child.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  console.log(JSON.stringify({ bench: "train", node: process.version, device, threads, rounds, cases: results }));
}

async function race(found: TrainCase, rounds: number, processes: ReadonlyMap<string, TrainProcess>) {
  const turns = new Map<string, Turn[]>([...processes.keys()].map((name) => [name, []]));
  const names = [...processes.keys()];
  for (let round = -1; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const turn = await processes.get(name)!.steps(round < 0 ? 1 : found.steps);
      console.error(
        `${found.id}, round ${round + 1}, ${name}: ${(turn.seconds / turn.losses.length).toFixed(2)} s a step, loss ${turn.losses.at(-1)?.toFixed(4)}`,
      );
      // The first step of all warms up.
      if (round >= 0) turns.get(name)!.push(turn);
    }
  }
  const stepTokens = found.sequences * found.tokens;
  const figures = Object.fromEntries(
    names.map((name) => [name, figuresOf(turns.get(name)!, stepTokens, processes.get(name)!.opened)]),
  );
  const ours = turns.get("realchat")!;
  const theirs = turns.get("pytorch");
  const ratio = (of: (turn: Turn) => number) =>
    theirs === undefined ? null : median(theirs.map((turn, round) => of(turn) / of(ours[round]!)));
  const comparison = {
    timeRatio: ratio((turn) => turn.seconds),
    cpuTimeRatio: ratio((turn) => turn.cpuSeconds),
    // Equal batches and settings: what differs is rounding, and how it grows from step to step.
    lossDifference:
      theirs === undefined
        ? null
        : Math.max(
            ...theirs.flatMap(({ losses }, round) =>
              losses.map((loss, step) => Math.abs(loss - (ours[round]!.losses[step] ?? Number.NaN))),
            ),
          ),
  };
  for (const [name, { tokensPerSecond, tokensPerCpuSecond, peakMegabytes, cardMegabytes }] of Object.entries(figures)) {
    const [speed, cpuSpeed, peak] = [tokensPerSecond, tokensPerCpuSecond, peakMegabytes].map((value) =>
      value.toFixed(0),
    );
    const card = cardMegabytes === null ? "" : `, ${cardMegabytes.toFixed(0)} MB of the card`;
    console.error(`  ${name}: ${speed} tokens/s, ${cpuSpeed} a CPU second, at most ${peak} MB of memory${card}`);
  }
  return { case: found, ...figures, ...comparison };
}

function figuresOf(turns: readonly Turn[], stepTokens: number, opened: Opened): Figures {
  const rate = (of: (turn: Turn) => number) =>
    median(turns.map((turn) => (stepTokens * turn.losses.length) / of(turn)));
  return {
    tokensPerSecond: rate(({ seconds }) => seconds),
    tokensPerCpuSecond: rate(({ cpuSeconds }) => cpuSeconds),
    peakMegabytes: turns.at(-1)?.peakMegabytes ?? Number.NaN,
    cardMegabytes: turns.at(-1)?.cardMegabytes ?? null,
    estimatedMegabytes: opened.estimatedMegabytes ?? null,
    description: opened.description,
  };
}

async function writeJob(
  folder: string,
  found: TrainCase,
  threads: number,
  device: TrainJob["device"],
): Promise<TrainJob> {
  const shape = [...SHAPES, CARD_SHAPE].find(({ id }) => id === found.shape);
  if (shape === undefined) throw new Error(`there is no shape ${found.shape}`);
  const checkpoint = join(folder, "checkpoint");
  await writeCheckpoint(checkpoint, shape.sizes, shape.windowTokens, 1);
  const random = randomOf(1);
  const batches = Array.from({ length: BATCHES }, () => {
    const ids = Array.from({ length: found.sequences }, () =>
      Array.from({ length: found.tokens }, () => 3 + random.below(shape.sizes.vocabSize - 3)),
    );
    const labels = ids.map((row) => row.map((id, at) => (at % 10 < found.trainedOfTen ? id : -100)));
    return { input_ids: ids, labels };
  });
  const batchFile = join(folder, "batches.json");
  await writeFile(batchFile, JSON.stringify(batches));
  const { loraRank, isCheckpointing } = found;
  return { checkpoint, batchFile, loraRank, baseBits: found.baseBits ?? null, isCheckpointing, threads, device };
}
