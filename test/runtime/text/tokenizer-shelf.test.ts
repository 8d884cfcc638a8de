// Models with one tokenizer share it, in memory and in the time that building it takes; others do not.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TokenizerShelf } from "../../../runtime/text/tokenizer-shelf.ts";
import { tiny, tinyTokenizerJson } from "../../support/tokenizers.ts";

async function folderWith(content: object): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "shelf-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(content));
  return folder;
}

test("a tokenizer of the same file and with the same control tokens is built once", async () => {
  const shelf = new TokenizerShelf();
  const one = await folderWith(tinyTokenizerJson());
  const first = await shelf.load(one, "hash", [tiny.end, tiny.begin]);
  await rm(join(one, "tokenizer.json"));
  expect(await shelf.load(one, "hash", [tiny.begin, tiny.end, tiny.end])).toBe(first);
});

test("another file, and other control tokens, make another one", async () => {
  const shelf = new TokenizerShelf();
  const one = await folderWith(tinyTokenizerJson());
  const first = await shelf.load(one, "hash", [tiny.end]);
  expect(await shelf.load(one, "other", [tiny.end])).not.toBe(first);
  expect(await shelf.load(one, "hash", [tiny.end, 70])).not.toBe(first);
});

test("a file that is no tokenizer is an error each time, and nothing is kept of it", async () => {
  const shelf = new TokenizerShelf();
  const broken = await folderWith({});
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await expect(shelf.load(broken, "hash", [])).rejects.toMatchObject({ code: "bad_model" });
  }
});
