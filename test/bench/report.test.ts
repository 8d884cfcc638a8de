// What a bench run prints: statistics, turns, flags, the table.
import { expect, it } from "vitest";
import { parseFlags } from "./flags.ts";
import { interleave } from "./interleave.ts";
import type { Field } from "./interleave.ts";
import type { Report, ShapeReport } from "./report.ts";
import type { Runner, RunnerName } from "./runner.ts";
import { contextsFor, SHAPES } from "./shapes.ts";
import { median, pairedRatio, quantile, summarize } from "./statistics.ts";
import { renderTable } from "./table.ts";

function runnerThatTakes(ms: () => number): Runner {
  return {
    description: "a double",
    prepareDecode: async () => {},
    decode: async () => [ms()],
    prefill: async () => ({ ms: ms(), nextId: 1 }),
    close: async () => {},
  };
}

it("a median stands in the middle, and a quantile is one of the values", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2);
  expect(summarize([[2, 1], [5]])).toEqual({ median: 2, min: 1, max: 5, samples: 3 });
  expect(() => median([])).toThrow(/nothing/);
});

it("a drift that slows everybody down does not change a ratio", () => {
  const ours = [[1], [2], [10]];
  const theirs = [[2], [4], [20]];
  expect(pairedRatio(theirs, ours)).toBe(2);
});

it("runners take turns, another one first every round", async () => {
  const order: RunnerName[] = [];
  const field: Field = {
    runners: new Map<RunnerName, Runner>([
      ["realchat", runnerThatTakes(() => 1)],
      ["transformers", runnerThatTakes(() => 2)],
    ]),
    notMeasured: [],
  };
  const samples = await interleave(field, 2, (runner, name) => {
    order.push(name);
    return runner.decode(1);
  });
  expect(order).toEqual(["realchat", "transformers", "transformers", "realchat"]);
  expect([...samples]).toEqual([
    ["realchat", [[1], [1]]],
    ["transformers", [[2], [2]]],
  ]);
});

it("an opponent that fails leaves the field with its reason, and we do not", async () => {
  const failing = runnerThatTakes(() => {
    throw new Error("out of memory");
  });
  const field: Field = {
    runners: new Map<RunnerName, Runner>([
      ["realchat", runnerThatTakes(() => 1)],
      ["llama.cpp", failing],
    ]),
    notMeasured: [],
  };
  const samples = await interleave(field, 3, (runner) => runner.decode(1));
  expect(samples.get("realchat")?.length).toBe(3);
  expect(samples.has("llama.cpp")).toBe(false);
  expect(field.notMeasured).toEqual([{ runner: "llama.cpp", reason: "out of memory" }]);
  const alone: Field = { runners: new Map([["realchat", failing]]), notMeasured: [] };
  await expect(interleave(alone, 1, (runner) => runner.decode(1))).rejects.toThrow("out of memory");
});

it("flags choose shapes, batches, contexts and opponents, and nonsense is a sentence", () => {
  const flags = parseFlags(["--shapes", "135m", "--batches", "1,4", "--opponents", "llama.cpp", "--seconds", "0.5"]);
  expect(flags).toMatchObject({
    batches: [1, 4],
    contexts: [128, 1500],
    seconds: 0.5,
    runners: ["realchat", "llama.cpp"],
  });
  expect(flags?.shapes.map(({ id }) => id)).toEqual(["135m"]);
  expect(parseFlags(["--quick"])).toMatchObject({ batches: [1, 8], contexts: [128] });
  expect(parseFlags(["--opponents", "none"])?.runners).toEqual(["realchat"]);
  expect(parseFlags(["--help"])).toBeNull();
  expect(() => parseFlags(["--shapes", "7b"])).toThrow("--shapes knows pair, 135m, 0.5b, not 7b");
  expect(() => parseFlags(["--batches", "1.5"])).toThrow("--batches must be whole numbers");
  expect(() => parseFlags(["--seconds=-1"])).toThrow("--seconds must be greater than 0");
});

it("a context beyond a shape's window becomes the shape's own long one", () => {
  const contexts = Object.fromEntries(SHAPES.map((shape) => [shape.id, contextsFor(shape, [128, 1500])]));
  expect(contexts).toEqual({ pair: [128, 900], "135m": [128, 1500], "0.5b": [128, 1500] });
});

it("the table says our time, everybody's multiple of it, and what was not measured", () => {
  const result = { median: 5, min: 4, max: 6, samples: 10 };
  const shape: ShapeReport = {
    id: "135m",
    title: "Some shapes",
    precision: "int4",
    blockSize: 32,
    decode: [
      {
        batch: 2,
        contextTokens: 128,
        results: { realchat: result, transformers: result },
        ratios: { transformers: 2.5 },
        bestRatios: { transformers: 2.25 },
      },
    ],
    prefill: [
      {
        promptTokens: 512,
        chunkTokens: 128,
        results: { realchat: { ...result, median: 512 }, transformers: result },
        ratios: { transformers: 1.25 },
        bestRatios: { transformers: 1.5 },
        nextIds: { realchat: 7, transformers: 8 },
      },
    ],
    engine: [{ sequences: 8, seconds: 4, tokensPerSecond: 400, stepMedianMs: 20 }],
    eventLoop: { sequences: 8, seconds: 4, timers: 300, p50Ms: 0.5, p99Ms: 3, maxMs: 9 },
    notMeasured: [{ runner: "llama.cpp", reason: "no network" }],
  };
  const report: Report = {
    bench: "realchat",
    startedAt: "2026-01-01T00:00:00.000Z",
    hardware: { cpu: "Some CPU", cores: 2, memoryGiB: 8, system: "Linux", busyBefore: 0.5 },
    versions: { node: "v24" },
    threads: 2,
    rounds: 5,
    shapes: [shape],
  };
  const table = renderTable(report);
  expect(table).toMatch(/decode, batch 2, context 128 +5\.00 ms +400 tok\/s +2\.50 × \(2\.25\)\n/);
  expect(table).toMatch(/prefill, 512 tokens in chunks of 128 +512 ms +1000 tok\/s +1\.25 × \(1\.50\)\n/);
  expect(table).toMatch(/engine, 8 callers, temperature 0\.7 +20\.00 ms +400 tok\/s\n/);
  expect(table).toContain("Something else used 50 % of this machine");
  expect(table).toContain("padded to two rows costs the step of batch 2 (5.00 ms at context 128)");
  expect(table).toContain("p50 0.5 ms, p99 3.0 ms, at most 9.0 ms");
  expect(table).toContain("Other weights than ours, by the next token they choose: transformers.");
  expect(table).toContain("llama.cpp not measured: no network");
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});
