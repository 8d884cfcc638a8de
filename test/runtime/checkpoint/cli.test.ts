// The command ends as its documentation says, and says why in one sentence.
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseCheckpointArguments } from "../../../runtime/checkpoint/cli-options.ts";
import { importOptions, importQuietly, recordedFolder, scratchFolder } from "../../support/checkpoints.ts";

const scratch = await scratchFolder();
const program = fileURLToPath(new URL("../../../runtime/checkpoint/cli.ts", import.meta.url));

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}

test("a model is named by its id, one with colons too, and becomes the folder of --out", async () => {
  const models = join(scratch, "models");
  await importQuietly(importOptions(recordedFolder("smollm2"), models, { id: "ft:small:me::1" }));
  expect(await readdir(models)).toEqual(["ft%3Asmall%3Ame%3A%3A1"]);
  const out = join(scratch, "checkpoint");
  const { code, stdout } = await run(["ft:small:me::1", "--models", models, "--out", out]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${out}\n` });
  expect(await readdir(out)).toContain("model.safetensors");
  const again = await run(["ft:small:me::1", "--models", models, "--out", out]);
  expect(again).toMatchObject({ code: 2, stderr: `checkpoint: ${out} exists already; --force replaces it\n` });
});

describe("a bad flag is one sentence", () => {
  test.each<[string[], string]>([
    [["--out", "x"], "name one model"],
    [["a", "b", "--out", "x"], "name one model"],
    [["realm"], "--out is needed"],
    [["nobody", "--out", "x"], "nobody names no model folder: there is neither nobody nor models/nobody"],
    [["realm", "--out", "x", "--fast"], "Unknown option '--fast'"],
  ])("%j", (args, sentence) => {
    expect(parseCheckpointArguments(args)).toEqual({ kind: "refused", sentence });
  });
});
