// A loop as the gateway starts it: what it says on standard output, and how it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockFolder } from "../../../runtime/folder-lock.ts";
import { parseLoopEvent } from "../../../training/loop/loop-events.ts";
import { tinyLoop } from "../../support/loop-run.ts";

const cli = join(import.meta.dirname, "../../../training/loop/work-cli.ts");

let folder: string;
let child: ChildProcess | null = null;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "loop-work-"));
});
afterEach(() => {
  child?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function start(args: readonly string[]) {
  const process_ = spawn(process.execPath, [cli, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  child = process_;
  let said = "";
  process_.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = once(process_, "close").then(([code]) => ({
    code: code as number | null,
    events: said.split("\n").flatMap((line) => parseLoopEvent(line) ?? []),
  }));
  return { process: process_, ended, said: () => said };
}

test("what cannot be, is said as an event, and exit code 2 says that it would be the same again", async () => {
  const { ended } = start(await tinyLoop(folder, "--user=nobody"));
  expect(await ended).toEqual({
    code: 2,
    events: [{ event: "failed", message: "--user names no model folder: nobody" }],
  });
});

test("a gateway that cannot be reached may be back: that is no end for good", async () => {
  const { ended, said } = start(await tinyLoop(folder, "--url=http://127.0.0.1:9"));
  while (!said().includes('"step"')) await new Promise((resolve) => setTimeout(resolve, 20));
  // It would ask for half a minute.
  await new Promise((resolve) => setTimeout(resolve, 500));
  child?.stdin?.end();
  expect(await ended).toMatchObject({ code: 130, events: [{ event: "step", round: 1, step: "play" }] });
});

test("it waits for the folder while another process has it, and ends at once when its input does", async () => {
  const run = join(folder, "run");
  mkdirSync(run, { recursive: true });
  const unlock = lockFolder(run);
  const { ended, said } = start(await tinyLoop(folder));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(said()).toBe("");
  unlock?.();
  while (!said().includes('"step"')) await new Promise((resolve) => setTimeout(resolve, 20));
  child?.stdin?.end();
  expect(await ended).toMatchObject({ code: 130, events: [{ event: "step", round: 1, step: "play" }] });
});
