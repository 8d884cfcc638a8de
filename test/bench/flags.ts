// The bench's command line: which shapes, batches, contexts and opponents, and how long. Throws a sentence for nonsense.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { RUNNERS } from "./runner.ts";
import type { RunnerName } from "./runner.ts";
import { DEFAULT_BLOCK_SIZE, SHAPES } from "./shapes.ts";
import type { BenchShape } from "./shapes.ts";

export interface BenchFlags {
  readonly shapes: readonly BenchShape[];
  readonly batches: readonly number[];
  readonly contexts: readonly number[];
  /** Ours first. */
  readonly runners: readonly RunnerName[];
  /** Time of each program in each decode cell, all rounds together; engine loads take twice as long. */
  readonly seconds: number;
  readonly rounds: number;
  readonly threads: number;
  /** Of our int4 weights: values that share a scale. */
  readonly blockSize: number;
}

export const USAGE = `npm run bench -- [flags]
  --shapes LIST      of ${SHAPES.map(({ id }) => id).join(",")} [all]
  --batches LIST     sequences that decode together [1,2,8,16]
  --contexts LIST    tokens before the first measured one [128,1500]
  --opponents LIST   of ${RUNNERS.slice(1).join(",")}, or none [all]
  --seconds N        time of each program in each cell [2]
  --threads N        of every program [one per core]
  --block-size N     values of our int4 weights that share a scale: 32, 64 or 128 [${DEFAULT_BLOCK_SIZE}]
  --quick            pair and 135m, batches 1 and 8, context 128, 0.8 seconds
`;

/** Null when help was asked for. */
export function parseFlags(args: readonly string[]): BenchFlags | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      shapes: { type: "string" },
      batches: { type: "string" },
      contexts: { type: "string" },
      opponents: { type: "string" },
      seconds: { type: "string" },
      threads: { type: "string" },
      "block-size": { type: "string", default: String(DEFAULT_BLOCK_SIZE) },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  const shapeIds = list(values.shapes ?? (quick ? "pair,135m" : SHAPES.map(({ id }) => id).join(",")));
  const opponents = values.opponents === "none" ? [] : list(values.opponents ?? RUNNERS.slice(1).join(","));
  return {
    shapes: shapeIds.map((id) => oneOf("--shapes", id, SHAPES, (shape) => shape.id)),
    batches: numbers("--batches", values.batches ?? (quick ? "1,8" : "1,2,8,16")),
    contexts: numbers("--contexts", values.contexts ?? (quick ? "128" : "128,1500")),
    runners: ["realchat", ...opponents.map((name) => oneOf("--opponents", name, RUNNERS.slice(1), (known) => known))],
    seconds: number("--seconds", values.seconds ?? (quick ? "0.8" : "2")),
    rounds: quick ? 3 : 5,
    threads: Math.ceil(number("--threads", values.threads ?? String(availableParallelism()))),
    blockSize: oneOf("--block-size", Number(values["block-size"]), [32, 64, 128], (size) => size),
  };
}

function list(text: string): string[] {
  return text.split(",").map((item) => item.trim());
}

function numbers(flag: string, text: string): number[] {
  return list(text).map((item) => {
    const value = number(flag, item);
    if (!Number.isInteger(value)) throw new Error(`${flag} must be whole numbers, not "${text}"`);
    return value;
  });
}

function number(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${flag} must be greater than 0, not "${text}"`);
}

function oneOf<Item, Name>(flag: string, name: Name, items: readonly Item[], nameOf: (item: Item) => Name): Item {
  const item = items.find((candidate) => nameOf(candidate) === name);
  if (item !== undefined) return item;
  throw new Error(`${flag} knows ${items.map(nameOf).join(", ")}, not ${String(name)}`);
}
