// A round's record is whole or absent, does nothing twice, and takes nothing for what it was made from that is another thing now.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { readRecord, RoundRecord } from "../../../training/loop/record.ts";
import { sha256Of, writeWhole } from "../../../training/loop/whole-file.ts";

const pair = { user: { id: "usergpt", hash: "a" }, assistant: { id: "realm", hash: "b" } };
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "loop-record-"));
  onTestFinished(() => rm(folder, { recursive: true }));
});

const open = (models = pair) => RoundRecord.open(folder, "rounds/1", 1, models);
const made = () => Promise.resolve({ outputs: { "rounds/1/kept.jsonl": "c" }, facts: { kept: 3 } });
const never = () => Promise.reject(new Error("it was done again"));

test("a step that stands in the record is not done again, by this process or the next", async () => {
  const record = await open();
  const first = await record.step("filter", {}, made);
  expect(first).toEqual({ inputs: {}, outputs: { "rounds/1/kept.jsonl": "c" }, facts: { kept: 3 } });
  expect(await record.step("filter", {}, never)).toEqual(first);
  expect(await (await open()).step("filter", {}, never)).toEqual(first);
});

test("a step that failed leaves the record as it was", async () => {
  const record = await open();
  await record.step("play", {}, made);
  const before = await readFile(join(folder, "rounds/1/record.json"));
  await expect(record.step("filter", {}, never)).rejects.toThrow("it was done again");
  expect(await readFile(join(folder, "rounds/1/record.json"))).toEqual(before);
  expect(await readdir(join(folder, "rounds/1"))).toEqual(["record.json"]);
});

test("a step that was made from something else is refused by its name", async () => {
  await (await open()).step("measure", { "model realm": "b" }, made);
  await expect((await open()).step("measure", { "model realm": "x" }, never)).rejects.toThrow(
    "the step measure was made from another model realm than there is now",
  );
});

test("a file that changed since the record named it, or is gone, is refused by its name before anything is made of it", async () => {
  const path = join(folder, "rounds/1/kept.jsonl");
  const sha256 = await writeWhole(path, "a line\n");
  const record = await open();
  expect(sha256).toBe(sha256Of("a line\n"));
  await writeFile(path, "another line\n");
  await expect(record.step("export-user", { "rounds/1/kept.jsonl": sha256 }, never)).rejects.toThrow(
    `${path} has changed since the record named it`,
  );
  await rm(path);
  await expect(record.step("export-user", { "rounds/1/kept.jsonl": sha256 }, never)).rejects.toThrow(`${path} is gone`);
});

test("a round goes on with the models that it began with and no others", async () => {
  await (await open()).end(pair);
  expect(await readRecord(join(folder, "rounds/1"))).toMatchObject({ round: 1, begins: pair, ends: pair, steps: {} });
  await expect(open({ ...pair, user: { id: "usergpt", hash: "z" } })).rejects.toThrow(
    "began with another user model than usergpt is now",
  );
});
