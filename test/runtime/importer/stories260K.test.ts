// A real checkpoint, imported, says what its author's own program says.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadTokenizer } from "../../../runtime/text/tokenizer.ts";
import { importOptions, importQuietly, scratchFolder } from "../../support/checkpoints.ts";
import { openDecoderRun } from "../../support/decoder-run.ts";

const source = fileURLToPath(new URL("../../fixtures/stories260K", import.meta.url));
const BOS = 1;

interface Expected {
  readonly expected_text_200_steps: string;
  readonly greedy_ids_from_bos: readonly number[];
  readonly greedy_text_256_steps: string;
  readonly logits_after_bos: readonly number[];
}

test("stories260K in float32 writes its known 256 tokens and their text", async () => {
  const expected = JSON.parse(await readFile(`${source}/expected-greedy.json`, "utf8")) as Expected;
  const folder = await importQuietly(importOptions(source, await scratchFolder()));
  const run = await openDecoderRun(folder, { maxLength: 512 });
  const [first = new Float32Array()] = await run.feed([[BOS]]);
  const off = expected.logits_after_bos.map((value, id) => Math.abs(value - (first[id] ?? NaN)));
  expect(Math.max(...off)).toBeLessThan(1e-4);

  const ids = [best(first)];
  while (ids.length < expected.greedy_ids_from_bos.length) {
    const [logits = new Float32Array()] = await run.feed([[ids.at(-1) ?? BOS]]);
    ids.push(best(logits));
  }
  run.close();
  expect(ids).toEqual(expected.greedy_ids_from_bos);

  const tokenizer = await loadTokenizer(folder);
  const text = Buffer.concat(ids.map((id) => tokenizer.bytesOf(id))).toString("utf8");
  expect(text.trimStart()).toBe(expected.greedy_text_256_steps);
  expect(text.trimStart().startsWith(expected.expected_text_200_steps)).toBe(true);
});

function best(logits: Float32Array): number {
  return logits.reduce((found, value, id) => (value > (logits[found] ?? NaN) ? id : found), 0);
}
