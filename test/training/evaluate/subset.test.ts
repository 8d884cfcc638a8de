import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { Sample } from "../../../training/evaluate/sample.ts";
import { writeSubsets } from "../../../training/evaluate/subset.ts";

const never = new AbortController().signal;
const rows = Array.from({ length: 200 }, (_, index) => JSON.stringify({ id: index }));

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "subset-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}
const linesOf = async (path: string) => (await readFile(path, "utf8")).trim().split("\n");

it("subsets are nested, in the order of the source, and the same whatever that order is", async () => {
  const out = await folder();
  const source = join(out, "set.jsonl");
  await writeFile(source, `${rows.join("\n")}\n`);
  const files = await writeSubsets(source, [10, 50, 200], 7, out, never);
  expect(files.map(({ path }) => path)).toEqual([10, 50, 200].map((size) => join(out, `set-${size}.jsonl`)));
  const [ten, fifty, all] = await Promise.all(files.map(({ path }) => linesOf(path)));
  expect(ten).toHaveLength(10);
  expect(fifty).toHaveLength(50);
  expect(all).toEqual(rows);
  for (const row of ten!) expect(fifty).toContain(row);
  expect(ten).toEqual(rows.filter((row) => ten!.includes(row)));

  const reversed = join(out, "reversed.jsonl.gz");
  await writeFile(reversed, gzipSync(rows.toReversed().join("\n")));
  const [again] = await writeSubsets(reversed, [10], 7, out, never);
  expect((await linesOf(again!.path)).toSorted()).toEqual(ten!.toSorted());
  const [other] = await writeSubsets(source, [10], 8, join(out, "other"), never);
  expect(await linesOf(other!.path)).not.toEqual(ten);
});

it("a size beyond the source, and a source that is not there, are refused", async () => {
  const out = await folder();
  const source = join(out, "set.jsonl");
  await writeFile(source, rows.join("\n"));
  await expect(writeSubsets(source, [10, 201], 7, out, never)).rejects.toThrow("there is no subset of 201");
  await expect(writeSubsets(join(out, "none"), [1], 7, out, never)).rejects.toThrow("none");
  await expect(writeSubsets(join(out, "none.gz"), [1], 7, out, never)).rejects.toThrow("none.gz");
});

it("a sample depends on what is in it alone, and keeps the order of arrival", () => {
  const texts = fc.uniqueArray(fc.string(), { maxLength: 400 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 99 }), (all, limit, seed) => {
      const take = (from: readonly string[], count: number) => {
        const sample = new Sample<string>(count, seed);
        for (const text of from) sample.add(text, text);
        return sample.items();
      };
      const some = take(all, limit);
      expect(some).toHaveLength(Math.min(limit, all.length));
      expect(some).toEqual(all.filter((text) => some.includes(text)));
      expect(take(all.toReversed(), limit).toSorted()).toEqual(some.toSorted());
      expect(take(all, limit + 1)).toEqual(expect.arrayContaining(some));
    }),
    { numRuns: 50 },
  );
});
