// A loop that is killed again and again, inside steps and between them, ends with the records of one that nothing disturbed, byte by
// byte: so with the same dialogues, examples, weights, figures and reports, none of them made twice.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tinyLoop } from "../support/loop-run.ts";
import { startServerProcess } from "../support/server-process.ts";
import { MODELS_FOLDER } from "../support/engine.ts";

const cli = join(import.meta.dirname, "..", "..", "training", "loop", "cli.ts");
const pollMs = 10;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let folder: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "loop-kill-"));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command; `isTime` looks again and again whether to kill it. */
async function run(args: readonly string[], isTime: (stderr: string) => boolean = () => false): Promise<Ended> {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  }
  const closed = once(child, "exit");
  while (child.exitCode === null && child.signalCode === null) {
    if (isTime(said.stderr)) child.kill("SIGKILL");
    await sleep(pollMs);
  }
  await closed;
  return { code: child.exitCode, ...said };
}

function textOf(...path: readonly string[]): string {
  const file = join(folder, ...path);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

const has = (text: string, ...path: readonly string[]) => textOf(...path).includes(text);

/** When to kill, in the order in which a run comes there. `stderr` is of the process to be killed alone. */
const moments: Readonly<Record<string, (stderr: string) => boolean>> = {
  "before the gateway answers": (stderr) => stderr.includes("round 1: play"),
  "when the dialogues are there": () => existsSync(join(folder, "run/rounds/1/dialogues.jsonl")),
  "between filter and measure": () => has('"filter"', "run/rounds/1/record.json"),
  "while the base is written": () => existsSync(join(folder, "run/rounds/1/train-user/base")),
  "between two training steps": () => has('"step":1,', "run/rounds/1/train-user/log.jsonl"),
  "while the trained model is imported": () => has('"event":"done"', "run/rounds/1/train-user/log.jsonl"),
  "when the trained model is there": () => existsSync(join(folder, "run/rounds/1/candidates/ft%3Ausergpt%3Aloop-1")),
  "when the model is accepted": () => existsSync(join(folder, "run/models/ft%3Ausergpt%3Aloop-1/manifest.json")),
  "while the other role is trained": (stderr) => stderr.includes("round 1: train-assistant"),
  "when the report is there": () => existsSync(join(folder, "run/rounds/1/report.html")),
  "in the next round": (stderr) => stderr.includes("round 2: play"),
  "while the child is trained": () => has('"step":1,', "run/rounds/2/train-user/log.jsonl"),
};

test("killed at every kind of moment, a loop of two rounds ends with the records of an undisturbed one", async () => {
  const args = await tinyLoop(folder, "--rounds=2", "--gate=any");
  expect(await run(args)).toMatchObject({ code: 0 });
  const records = [1, 2].map((round) => textOf(`run/rounds/${round}/record.json`));
  rmSync(join(folder, "run"), { recursive: true });

  let kills = 0;
  let isBegun = false;
  for (const [moment, isTime] of Object.entries(moments)) {
    const { code, stderr } = await run([...args, ...(isBegun ? ["--resume"] : [])], isTime);
    console.log(`${moment}: ${code === null ? "killed" : `ended with ${code}`}`);
    // Nothing but the kill ends it, unless it was quicker than we looked.
    if (code !== null && code !== 0) throw new Error(stderr);
    if (code === null) kills += 1;
    isBegun = existsSync(join(folder, "run/settings.json"));
  }
  expect(kills).toBeGreaterThan(8);
  const last = await run([...args, "--resume"]);
  expect(last).toMatchObject({ code: 0 });
  expect([1, 2].map((round) => textOf(`run/rounds/${round}/record.json`))).toEqual(records);
  // No job was begun twice, and no training twice from its first step.
  expect(await run(["--verify", `--run-folder=${join(folder, "run")}`])).toMatchObject({ code: 0 });
  expect(last.stdout).toContain("round 2: 2 dialogues kept; ft:usergpt:loop-2 takes the place of ft:usergpt:loop-1");
});

test("an interrupt leaves a checkpoint, and exit code 130 says that the run can go on", async () => {
  const args = await tinyLoop(folder, "--role=user", "--max-steps=400", "--gate=any");
  const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  started.push(child);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const closed = once(child, "exit");
  while (!has('"step":1,', "run/rounds/1/train-user/log.jsonl")) await sleep(pollMs);
  child.kill("SIGINT");
  expect(await closed).toEqual([130, null]);
  expect(stderr).toContain("loop: interrupted; the same command with --resume goes on");
  expect(has('"event":"interrupted"', "run/rounds/1/train-user/log.jsonl")).toBe(true);
});

test("on a running gateway the accepted models are served at once, and play the next round", async () => {
  const models = join(folder, "models");
  for (const id of ["usergpt", "realm"]) cpSync(join(MODELS_FOLDER, id), join(models, id), { recursive: true });
  const server = await startServerProcess(["--models", models, "--rescan", "0", "--threads", "1"]);
  try {
    const args = await tinyLoop(
      folder,
      "--rounds=2",
      "--role=user",
      "--gate=any",
      `--url=${server.url}`,
      `--out=${models}`,
    );
    expect(await run(args)).toMatchObject({ code: 0 });
    const answer = await fetch(`${server.url}/v1/models/ft:usergpt:loop-2`);
    expect(await answer.json()).toMatchObject({ id: "ft:usergpt:loop-2" });
    const [first = ""] = textOf("run/rounds/2/dialogues.jsonl").split("\n");
    expect(JSON.parse(first)).toMatchObject({ models: { user: { id: "ft:usergpt:loop-1" } } });
  } finally {
    await server.stop();
  }
});

test("a model that is worse than its parent stays out of the models folder, and its parent plays on", async () => {
  const args = await tinyLoop(folder, "--rounds=2", "--role=user", "--gate=better", "--lr=0.01", "--max-steps=4");
  const { code, stdout } = await run(args);
  expect(code).toBe(0);
  expect(stdout).toContain("round 1: 2 dialogues kept; usergpt stays");
  expect(stdout).toContain("round 2: 2 dialogues kept; usergpt stays");
  expect(existsSync(join(folder, "run/models/ft%3Ausergpt%3Aloop-1"))).toBe(false);
  expect(textOf("run/rounds/1/report.md")).toContain("not accepted");
});
