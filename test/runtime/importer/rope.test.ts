// Frequencies against those that Hugging Face transformers computes for Llama 3.2, and the tables made of them.
import { expect, test } from "vitest";
import { inverseFrequencies, ropeTable } from "../../../runtime/importer/rope.ts";

// transformers 5.23.0, rope type llama3, theta 500000, factor 32, low 1, high 4, original context 8192, head size 64.
const LLAMA_3_2 = [
  1.0, 0.663601279, 0.440366626, 0.292227834, 0.193922758, 0.128687382, 0.0853971019, 0.0566696189, 0.0376060307,
  0.0249554086, 0.0165604409, 0.0109895291, 0.00729266508, 0.00483942125, 0.00321144611, 0.00129054801, 0.000429556705,
  9.70828623e-5, 1.94616387e-5, 1.29147675e-5, 8.57025589e-6, 5.68723226e-6, 3.77405445e-6, 2.50446715e-6,
  1.66196742e-6, 1.10288363e-6, 7.31874934e-7, 4.85673127e-7, 3.22293289e-7, 2.1387423e-7, 1.41927202e-7, 9.41830649e-8,
];

test("llama3 scaling keeps short waves, stretches long ones and mixes those between", () => {
  const frequencies = inverseFrequencies({
    headDim: 64,
    ropeTheta: 500_000,
    ropeScaling: { kind: "llama3", factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 },
  });
  expect(frequencies.length).toBe(32);
  for (const [pair, frequency] of frequencies.entries()) {
    expect(Math.abs(frequency / (LLAMA_3_2[pair] ?? NaN) - 1)).toBeLessThan(1e-6);
  }
});

test("linear scaling divides every frequency", () => {
  const config = { headDim: 8, ropeTheta: 10_000 };
  const plain = inverseFrequencies({ ...config, ropeScaling: { kind: "none" } });
  const scaled = inverseFrequencies({ ...config, ropeScaling: { kind: "linear", factor: 4 } });
  expect([...plain]).toEqual([1, 0.1, 0.01, 0.001].map(Math.fround));
  expect([...scaled]).toEqual([0.25, 0.025, 0.0025, 0.00025].map(Math.fround));
});

test("pairs beyond the head's own are left alone, from any row on", async () => {
  const config = { headDim: 4, ropeTheta: 10_000, ropeScaling: { kind: "none" } } as const;
  const rows = async (fn: "cos" | "sin") => {
    const target = new Float32Array(8);
    await ropeTable(fn, config, 8, 100).read(50, 2, target);
    return [...target];
  };
  const [half, whole] = [50 * Math.fround(0.01), 51 * Math.fround(0.01)].map(Math.fround);
  expect(await rows("cos")).toEqual(
    [Math.cos(50), Math.cos(half ?? 0), 1, 1, Math.cos(51), Math.cos(whole ?? 0), 1, 1].map(Math.fround),
  );
  expect(await rows("sin")).toEqual(
    [Math.sin(50), Math.sin(half ?? 0), 0, 0, Math.sin(51), Math.sin(whole ?? 0), 0, 0].map(Math.fround),
  );
});
