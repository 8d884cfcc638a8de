// Whoever runs the command is told what is wrong in one line and by the exit code, and nothing is begun.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { recordedRun } from "./recorded-run.ts";

const cli = join(import.meta.dirname, "../../../training/train/cli.ts");

function run(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

test("a bad flag is a sentence, and exit code 2", () => {
  expect(run("--data=nowhere", "--lr=fast")).toEqual({
    status: 2,
    stdout: "",
    stderr: 'train: --lr must be a number that is not negative, found "fast" (--help shows every flag)\n',
  });
});

test("a Python that is not there is a sentence, and exit code 2", async () => {
  const folder = await mkdtemp(join(tmpdir(), "train-cli-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { dataFolder, checkpoint } = await recordedRun(folder);
  const models = join(folder, "models");
  const flags = [`--data=${dataFolder}`, `--base=${checkpoint}`, "--id=mine", "--role=user", `--out=${models}`];
  expect(run(...flags, "--recipe=pytorch", "--python=no-such-python")).toEqual({
    status: 2,
    stdout: "",
    stderr:
      'train: There is no program "no-such-python": install Python 3.10 or newer, or name one with --python or REALCHAT_PYTHON\n',
  });
  expect(existsSync(models)).toBe(false);
});
