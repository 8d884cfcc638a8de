import { afterAll, beforeAll, expect, it } from "vitest";
import { openLogitsHead } from "../../../runtime/engine/logits-head.ts";
import type { LogitsHead } from "../../../runtime/engine/logits-head.ts";
import { GraphBuilder } from "../../../runtime/onnx/graph-builder.ts";
import { chooseDevice } from "../../../runtime/ort/device.ts";
import { openEnvironment } from "../../../runtime/ort/environment.ts";
import type { Environment } from "../../../runtime/ort/environment.ts";
import { openSession } from "../../../runtime/ort/session.ts";
import type { Session } from "../../../runtime/ort/session.ts";
import { uniform } from "../../../runtime/engine/random.ts";

const VOCAB = 300;
const ROWS = 3;
let environment: Environment;
let session: Session;
let head: LogitsHead;
let rows: Float32Array[];

beforeAll(async () => {
  environment = openEnvironment({ threads: 2 });
  const graph = new GraphBuilder("any");
  graph.output("y", graph.op("Identity", [graph.input("x", "float32", [1])]), "float32", [1]);
  const device = chooseDevice(environment.api, "cpu", "float32", () => {});
  session = await openSession(environment, device, { bytes: graph.toBytes() });
  head = await openLogitsHead(session, ROWS, VOCAB);
  rows = Array.from({ length: ROWS }, (_, row) =>
    Float32Array.from({ length: VOCAB }, (__, id) => 20 * uniform(row, 0, id) - 10),
  );
  rows[1]![17] = 30;
  rows[1]![250] = 30;
  for (const [row, values] of rows.entries())
    head
      .logits(ROWS)
      .float32()
      .set(values, row * VOCAB);
});

afterAll(() => {
  head.release();
  session.release();
  environment.release();
});

const ranked = (values: Float32Array): number[] =>
  [...values.keys()].toSorted((a, b) => values[b]! - values[a]! || a - b);

it("argMax gives each row's best id, the lowest of equals", async () => {
  expect(await head.argMax(ROWS)).toEqual(rows.map((values) => ranked(values)[0]!));
  expect((await head.argMax(2))[1]).toBe(17);
});

it("top gives the best ids in order with their logits and the whole row's normalizer at its temperature", async () => {
  const temperatures = [1, 0.5, 2];
  const tops = await head.top(temperatures, 64);
  for (const [row, top] of tops.entries()) {
    const values = rows[row]!;
    const expected = ranked(values).slice(0, 64);
    expect(top.ids).toEqual(expected);
    expect([...(top.logits as Float32Array)]).toEqual(expected.map((id) => values[id]!));
    const best = Math.max(...values);
    const sum = values.reduce((total, logit) => total + Math.exp((logit - best) / temperatures[row]!), 0);
    expect(top.logSumExp).toBeCloseTo(best / temperatures[row]! + Math.log(sum), 3);
  }
});

it("top never gives more than the vocabulary", async () => {
  const [top] = await head.top([1], 1000);
  expect(top!.count).toBe(VOCAB);
  expect(new Set(top!.ids as number[]).size).toBe(VOCAB);
});

it("readRow gives a copy of one row", async () => {
  const row = await head.readRow(2);
  expect(row).toEqual(rows[2]);
  row.fill(0);
  expect(await head.readRow(2)).toEqual(rows[2]);
});

it("logProbabilities gives one id of each row its share of the whole row", async () => {
  const ids = [7, 17, 299];
  const values = await head.logProbabilities(ids);
  expect(values).toHaveLength(ROWS);
  for (const [row, id] of ids.entries()) {
    const logits = rows[row]!;
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    expect(values[row]).toBeCloseTo(logits[id]! - Math.log(sum), 4);
  }
  expect(await head.logProbabilities([7])).toEqual([values[0]]);
  expect(values[1]).toBeCloseTo(Math.log(1 / 2), 4);
});
