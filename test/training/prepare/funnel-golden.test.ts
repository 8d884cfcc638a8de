// Recomputes the committed funnel of 400 real conversations where they are at hand; they are not part of the repository.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { expect, test } from "vitest";
import { Funnel } from "../../../training/clean/funnel.ts";
import { PREPARE_FLAGS, toPrepareOptions } from "../../../training/prepare/flags.ts";
import { prepare } from "../../../training/prepare/prepare.ts";
import { never } from "../sources/source-files.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const sample = join(root, "..", "shared", "data", "preprocess", "sharegpt-sample.jsonl.gz");
const golden = join(root, "test", "fixtures", "conversations", "sharegpt-sample-funnel.json");

const runs = {
  "characters, paper": ["--split", "paper"],
  "characters, fit": ["--keep-rule", "near-duplicates"],
  "statistical, fit": ["--language", "eng", "--keep-rule", "near-duplicates"],
} as const;

test.skipIf(!existsSync(sample)).each(Object.entries(runs))(
  "the funnel of the sample is the committed one: %s",
  async (name, args) => {
    const { values } = parseArgs({
      args: ["--model", join(root, "models", "usergpt"), "--max-tokens", "2048", ...args],
      options: PREPARE_FLAGS,
    });
    const funnel = new Funnel();
    const options = toPrepareOptions(values, () => {});
    for await (const _ of prepare([sample], options, funnel, never));
    const committed = JSON.parse(await readFile(golden, "utf8")) as Record<string, unknown>;
    expect(funnel.toJson()).toEqual(committed[name]);
  },
);
