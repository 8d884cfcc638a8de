import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { EngineOptions } from "../../../runtime/engine/engine.ts";
import { uniform } from "../../../runtime/engine/random.ts";
import { type DecoderRun, openDecoderRun } from "../../support/decoder-run.ts";
import { collect, MODELS_FOLDER, openTestEngine, requestOf, type TestEngine } from "../../support/engine.ts";

const never = new AbortController().signal;
const opened: TestEngine[] = [];
async function open(overrides: Partial<EngineOptions> = {}): Promise<TestEngine> {
  const test = await openTestEngine(overrides);
  opened.push(test);
  return test;
}
afterEach(async () => {
  const tests = opened.splice(0);
  for (const { engine } of tests) await engine.close();
  for (const { violations } of tests) expect(violations).toEqual([]);
});

const idsOf = (seed: number, length: number): number[] =>
  Array.from({ length }, (_, index) => (index === 0 ? 0 : 10 + Math.floor(uniform(seed, 1, index) * 4000)));
const all = (ids: readonly number[]): number[] => ids.slice(1).map((_, index) => index + 1);

let reference: DecoderRun;
beforeAll(async () => {
  reference = await openDecoderRun(join(MODELS_FOLDER, "usergpt"), { maxLength: 256, threads: 1 });
});
afterAll(() => reference.close());

function logProbability(logits: Float32Array, id: number): number {
  const best = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - best), 0);
  return (logits[id] ?? Number.NaN) - best - Math.log(sum);
}

/** Through the bare network, all ids at once, each row's softmax in double precision. */
async function atOnce(ids: readonly number[]): Promise<number[]> {
  reference.reset();
  const rows = await reference.feed([ids.slice(0, -1)]);
  return rows.map((logits, index) => logProbability(logits, ids[index + 1] ?? 0));
}

/** The same, one token after the other, as sampling computes them. */
async function stepByStep(ids: readonly number[]): Promise<number[]> {
  reference.reset();
  const values: number[] = [];
  for (const [index, id] of ids.slice(0, -1).entries()) {
    const [logits] = await reference.feed([[id]]);
    if (logits !== undefined) values.push(logProbability(logits, ids[index + 1] ?? 0));
  }
  return values;
}

describe("scores are what the bare network gives:", () => {
  it.each([
    { length: 2, slots: 8, prefillChunkTokens: 64 },
    { length: 150, slots: 8, prefillChunkTokens: 64 },
    { length: 150, slots: 3, prefillChunkTokens: 16 },
    { length: 150, slots: 64, prefillChunkTokens: 16 },
  ])("$length ids with $slots slots in chunks of $prefillChunkTokens", async ({ length, ...options }) => {
    const { engine } = await open(options);
    const ids = idsOf(1, length);
    const expected = await atOnce(ids);
    const values = await engine.score(ids, all(ids), never);
    expect(values).toHaveLength(length - 1);
    for (const [index, value] of values.entries()) expect(value).toBeCloseTo(expected[index] ?? Number.NaN, 4);
  });

  it("token by token, but for what 8-bit kernels round otherwise for one row than for many", async () => {
    const { engine } = await open();
    const ids = idsOf(13, 150);
    const expected = await stepByStep(ids);
    const differences = (await engine.score(ids, all(ids), never)).map(
      (value, index) => value - (expected[index] ?? 0),
    );
    const mean = differences.reduce((sum, difference) => sum + difference, 0) / differences.length;
    expect(Math.max(...differences.map(Math.abs))).toBeLessThan(0.2);
    expect(Math.abs(mean)).toBeLessThan(0.01);
  });

  it("only those asked for, in rising order, whatever lies between them", async () => {
    const { engine, steps } = await open();
    const ids = idsOf(2, 200);
    const expected = await atOnce(ids);
    const values = await engine.score(ids, [150, 3, 151, 70], never);
    for (const [index, position] of [3, 70, 150, 151].entries()) {
      expect(values[index]).toBeCloseTo(expected[position - 1] ?? Number.NaN, 4);
    }
    // Whole chunks where nothing is asked, and nothing behind the last position.
    expect(steps.map(({ tokens }) => tokens)).toEqual([64, 64, 23]);
  });
});

it("equal ids give equal values, beside others and after them, and disturb nobody", async () => {
  const { engine } = await open({ slots: 3 });
  const ids = idsOf(3, 120);
  const alone = await engine.score(ids, all(ids), never);
  const request = requestOf(idsOf(3, 60), { maxTokens: 40 });
  const undisturbed = await collect(engine, request);
  const [first, written, second] = await Promise.all([
    engine.score(ids, all(ids), never),
    collect(engine, request),
    engine.score(ids, all(ids), never),
    collect(engine, requestOf(idsOf(4, 90), { maxTokens: 60 })),
  ]);
  expect(first).toEqual(alone);
  expect(second).toEqual(alone);
  expect(written.ids).toEqual(undisturbed.ids);
});

it("no prompt begins with what scoring computed, and the slot is free afterwards", async () => {
  const { engine, states } = await open({ slots: 1 });
  const ids = idsOf(5, 100);
  await engine.score(ids, [99], never);
  const { cachedTokens } = await collect(engine, requestOf(ids, { maxTokens: 2 }));
  expect(cachedTokens).toBe(0);
  expect(states.at(-1)).toMatchObject({ usedSlots: 0, running: 0 });
});

it("with every slot in use it waits, and has its turn before those that came later", async () => {
  const { engine } = await open({ slots: 1 });
  const order: string[] = [];
  const running = collect(engine, requestOf(idsOf(6, 20), { maxTokens: 30 })).then(() => order.push("running"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const scored = engine.score(idsOf(7, 50), [49], never).then(() => order.push("scored"));
  const later = collect(engine, requestOf(idsOf(8, 20), { maxTokens: 30 })).then(() => order.push("later"));
  await Promise.all([running, scored, later]);
  expect(order).toEqual(["running", "scored", "later"]);
});

it("a cancelled text gives its slot to the next one, whose values are its own", async () => {
  const { engine } = await open({ prefillChunkTokens: 8 });
  const [ids, other] = [idsOf(9, 200), idsOf(10, 60)];
  const expected = await engine.score(other, all(other), never);
  for (const delayMs of [0, 1, 3, 6]) {
    const controller = new AbortController();
    const cancelled = engine.score(ids, all(ids), controller.signal);
    const kept = engine.score(other, all(other), never);
    setTimeout(() => controller.abort(), delayMs);
    await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
    expect(await kept).toEqual(expected);
  }
  await expect(engine.score(ids, [1], AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
});

it("what cannot be scored is refused with the reason", async () => {
  const { engine } = await open();
  const { contextWindow } = engine;
  expect(await engine.score([1, 2], [], never)).toEqual([]);
  await expect(engine.score([], [], never)).rejects.toThrow("The prompt is empty.");
  for (const position of [0, 2, -1, 0.5]) {
    await expect(engine.score([1, 2], [position], never)).rejects.toThrow(
      `Position ${position} of 2 ids has nothing before it to score by.`,
    );
  }
  await expect(engine.score(idsOf(1, contextWindow + 1), [1], never)).rejects.toMatchObject({
    code: "context_length_exceeded",
  });
  const last = await engine.score(idsOf(11, contextWindow), [contextWindow - 1], never);
  expect(last[0]).toBeLessThan(0);
});

it("closing ends what is being scored, and refuses more", async () => {
  const { engine } = await openTestEngine({ prefillChunkTokens: 8 });
  const ids = idsOf(12, 200);
  const scored = engine.score(ids, all(ids), never);
  const outcome = scored.catch((error: unknown) => error);
  await engine.close();
  expect(await outcome).toMatchObject({ name: "EngineError" });
  await expect(engine.score(ids, [1], never)).rejects.toMatchObject({ code: "draining" });
});
