// What the embedded models promise: answers that do not depend on what is computed beside them, to the last bit.
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readManifest, verifyFiles } from "../../../runtime/manifest.ts";
import { openDecoderRun } from "../../support/decoder-run.ts";
import type { DecoderRun } from "../../support/decoder-run.ts";

const BATCHES = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const STEPS = 3;
const SPARE_ROW = 16;

describe.each(["usergpt", "realm"])("models/%s", (id) => {
  const folder = fileURLToPath(new URL(`../../../models/${id}`, import.meta.url));

  test("is whole, names its licence and credits its data", async () => {
    const manifest = await readManifest(folder);
    await verifyFiles(folder, manifest, new AbortController().signal);
    expect(manifest.id).toBe(id);
    expect(manifest.licence).toBe("CC-BY-SA-4.0");
    expect(manifest.provenance["source"]).toContain("Rastogi");
    expect(manifest.tokens).toEqual({ stopIds: [4, 5], endOfConversationId: 5, bosId: 0, padId: 6 });
  });

  test("gives a row the same bits in a decode batch of any size from 2 to 16", async () => {
    const run = await openDecoderRun(folder, { rows: SPARE_ROW + 1, maxLength: 256 });
    const reference = await decodeBatch(run, 16);
    for (const batch of BATCHES) {
      const logits = await decodeBatch(run, batch);
      for (const [step, rows] of logits.entries()) {
        for (const [row, values] of rows.entries()) {
          expect(isSame(values, reference[step]?.[row]), `batch ${batch}, step ${step}, row ${row}`).toBe(true);
        }
      }
    }
    run.close();
  });

  test("gives a prompt the same bits however it is cut into pieces of two tokens or more", async () => {
    const run = await openDecoderRun(folder, { maxLength: 256 });
    const prompt = tokens(5, 200);
    const [whole] = await run.feed([prompt], [199]);
    for (const size of [2, 31, 32, 50, 64, 100, 128, 198]) {
      run.reset();
      let last: Float32Array | undefined;
      for (let at = 0; at < prompt.length; at += size) {
        const piece = prompt.slice(at, at + size);
        [last] = await run.feed([piece], [piece.length - 1]);
      }
      expect(isSame(last ?? new Float32Array(), whole), `pieces of ${size}`).toBe(true);
    }
    run.close();
  });
});

/** Rows of different lengths, prefilled one by one and then decoded together. */
async function decodeBatch(run: DecoderRun, batch: number): Promise<Float32Array[][]> {
  run.reset();
  for (let row = batch - 1; row >= 0; row--) {
    run.copyRow(SPARE_ROW, 0);
    await run.feed([tokens(row, 3 + 9 * row)], []);
    if (row > 0) run.copyRow(0, row);
  }
  const steps: Float32Array[][] = [];
  for (let step = 0; step < STEPS; step++) {
    steps.push(await run.feed(Array.from({ length: batch }, (_, row) => tokens(row + step, 1))));
  }
  return steps;
}

function tokens(seed: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i === 0 ? 2 : 7 + ((seed * 977 + i * i * 31 + i) % 4000)));
}

function isSame(a: Float32Array, b: Float32Array | undefined): boolean {
  return a.length > 0 && a.length === b?.length && a.every((value, i) => Object.is(value, b[i]));
}
