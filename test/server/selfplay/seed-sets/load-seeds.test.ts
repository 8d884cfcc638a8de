// The way from a request's seeds to items: files only from inside the folder, broken rows by number, samples on request.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiError } from "../../../../server/openai/error.ts";
import { validate } from "../../../../server/openai/validation.ts";
import { loadSeeds } from "../../../../server/selfplay/seed-sets/load-seeds.ts";
import { seedsSchema } from "../../../../server/selfplay/seed-sets/seeds-schema.ts";

let root: string;
let folder: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "seed-folder-"));
  folder = join(root, "seeds");
  mkdirSync(join(folder, "deep"), { recursive: true });
  writeFileSync(join(root, "secret.txt"), "secret");
  writeFileSync(join(folder, "deep", "prompts.txt"), "one\ntwo\nthree");
  writeFileSync(join(folder, "packed.jsonl.gz"), gzipSync('{"prompt": "packed"}'));
  writeFileSync(join(folder, "torn.gz"), gzipSync('{"prompt": "packed"}').subarray(0, 12));
  writeFileSync(join(folder, "latin1.txt"), Buffer.from([0x63, 0x61, 0x66, 0xe9]));
  symlinkSync(join(root, "secret.txt"), join(folder, "link.txt"));
  symlinkSync(join(folder, "deep", "prompts.txt"), join(folder, "inner-link.txt"));
  symlinkSync("/", join(folder, "root"));
  execFileSync("mkfifo", [join(folder, "pipe")]);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const load = (body: object, seedFolder: string | null = folder) =>
  loadSeeds(validate(seedsSchema, { format: "plain", ...body }), seedFolder, 125);
const faultOf = async (body: object, seedFolder: string | null = folder) => {
  const error: unknown = await load(body, seedFolder).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw error;
  return [error.status, error.body.param, error.body.message] as const;
};
const prompts = async (body: object) => (await load(body)).items.map(({ prompt }) => prompt);

test("rows come with the request, or from a file of the folder, packed or not", async () => {
  expect(await prompts({ text: "one\ntwo" })).toEqual(["one", "two"]);
  expect(await prompts({ path: "deep/prompts.txt" })).toEqual(["one", "two", "three"]);
  expect(await prompts({ path: "inner-link.txt" })).toEqual(["one", "two", "three"]);
  expect(await prompts({ path: "packed.jsonl.gz" })).toEqual(["packed"]);
});

test.each([
  "../secret.txt",
  "deep/../../secret.txt",
  "link.txt",
  "root/etc/passwd",
  "/etc/passwd",
  "deep",
  ".",
  "..",
  "pipe",
  "none.txt",
  "a\0b",
  "x".repeat(5000),
])("%j is no file of the folder, and the answer tells nothing else", async (path) => {
  const [status, param, message] = await faultOf({ path });
  expect([status, param]).toEqual([400, "seeds.path"]);
  expect(message).toMatch(/^Invalid 'seeds\.path': there is no file '.*' in the seed folder\.$/);
});

test("without a seed folder no path is looked at", async () => {
  const [status, param, message] = await faultOf({ path: "deep/prompts.txt" }, null);
  expect([status, param]).toEqual([400, "seeds.path"]);
  expect(message).toContain("--seed-folder");
});

test.each([
  ["torn.gz", "broken gzip file"],
  ["latin1.txt", "not UTF-8 text"],
])("%s is refused: %s", async (path, reason) => {
  const [, param, message] = await faultOf({ path });
  expect(param).toBe("seeds.path");
  expect(message).toContain(reason);
});

test("broken rows are a 400 that names field and rows; on request the good ones are kept and the others counted", async () => {
  const text = 'one\n{"promt": "two"}\nthree\n{';
  const [status, param, message] = await faultOf({ text });
  expect([status, param]).toEqual([400, "seeds.text"]);
  expect(message).toBe(
    "Invalid 'seeds.text': row 2: 'prompt' is missing. row 4: is not JSON. Good rows are kept with 'skip_broken'.",
  );
  const kept = await load({ text, skip_broken: true });
  expect(kept.items.map(({ prompt, row }) => [prompt, row])).toEqual([
    ["one", 1],
    ["three", 3],
  ]);
  expect([kept.rows, kept.available, kept.brokenCount]).toEqual([4, 2, 2]);
});

test("a set without a single usable row is refused, and why", async () => {
  const text = '{"id": "a_3", "conversations": []}\n{';
  const [, param, message] = await faultOf({ format: "sharegpt", text, skip_broken: true });
  expect([param, message]).toEqual([
    "seeds.text",
    "Invalid 'seeds.text': no row can start a dialogue (2 read; left out: 1 later_segment, 1 broken).",
  ]);
});

test("a sample is taken with the seed, and says of how many", async () => {
  const text = Array.from({ length: 40 }, (_, index) => `prompt ${index}`).join("\n");
  const first = await load({ text, sample: 5 });
  expect([first.items.length, first.available]).toEqual([5, 40]);
  expect((await load({ text, sample: 5 })).items).toEqual(first.items);
});

test.each([
  [{}, "seeds.text", undefined],
  [{ text: "a", path: "b" }, "seeds.path", undefined],
  [{ text: "a", format: "csv" }, "seeds.format", undefined],
  [{ text: "a", sample: 0 }, "seeds.sample", undefined],
  [{ text: "a", rows: 3 }, "seeds.rows", "unknown_parameter"],
])("%j is refused at %s", (body, param, code) => {
  const check = () => validate(seedsSchema, { format: "plain", ...body });
  expect(check).toThrow(
    expect.objectContaining({
      body: expect.objectContaining({ param: param.slice("seeds.".length), ...(code === undefined ? {} : { code }) }),
    }),
  );
});
