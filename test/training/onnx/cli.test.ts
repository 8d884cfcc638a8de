// The recipe as a process: what it says is JSON Lines, how it ends is its exit code, and a signal makes it keep its state.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { constants, getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { recordedFolder } from "../../support/checkpoints.ts";
import { dataFolder, madeExamples } from "./run-recipe.ts";

const cli = join(import.meta.dirname, "../../../training/onnx/cli.ts");
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onnx-cli-"));
  onTestFinished(() => rm(folder, { recursive: true }));
});

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [cli, ...args]);
  const said: { stderr: string; events: { event: string; message?: string }[] } = { stderr: "", events: [] };
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => said.events.push(JSON.parse(line) as { event: string }));
  return { child, lines, said, closed: once(child, "close") as Promise<[number | null]> };
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s writes a checkpoint; the exit code says that the run can go on",
  async (signal) => {
    const data = await dataFolder(folder, madeExamples(8, 1), []);
    const run = join(folder, "run");
    const own = [`--data=${data}`, `--run-folder=${run}`, `--base=${recordedFolder("smollm2")}`];
    const flags = [...own, "--device=cpu", "--epochs=100000"];
    const { child, lines, said, closed } = start(...flags, "--threads=1");
    await new Promise<void>((resolve) => lines.on("line", (line) => line.includes('"step":3,') && resolve()));
    const priority = getPriority(child.pid);
    child.kill(signal);
    expect(await closed).toEqual([130, null]);
    expect(said.stderr).toBe("");
    expect(said.events.at(-1)).toMatchObject({ event: "interrupted" });
    expect(await readdir(join(run, "checkpoints"))).toHaveLength(1);
    // Lower than whoever serves beside it.
    expect(priority).toBe(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
  },
);

test("bad input is a sentence as an event and on standard error, and exit code 2", async () => {
  const { said, closed } = start(
    `--data=${folder}/none`,
    `--run-folder=${folder}/run`,
    `--base=${recordedFolder("smollm2")}`,
  );
  expect(await closed).toEqual([2, null]);
  const message = `${folder}/none/train.jsonl does not exist`;
  expect(said).toEqual({ stderr: `${message}\n`, events: [{ event: "error", message }] });
  expect(await readdir(folder)).toEqual([]);
});
