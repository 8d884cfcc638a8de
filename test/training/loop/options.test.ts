// Every bad flag is one sentence, and what decides the outcome of a run stands in its settings.
import { describe, expect, test } from "vitest";
import { FlagError } from "../../../training/prepare/flags.ts";
import { HANDED_ON, LOOP_FLAGS, LOOP_HELP } from "../../../training/loop/loop-flags.ts";
import { type LoopOptions, parseLoopArguments } from "../../../training/loop/options.ts";

const needed = ["--rounds=2", "--count=4", "--heldout=human.jsonl"];

function optionsOf(...more: readonly string[]): LoopOptions {
  const command = parseLoopArguments([...needed, ...more]);
  if (command.kind !== "loop") throw new Error(command.kind);
  return command.options;
}

function refusal(...args: readonly string[]): string {
  try {
    parseLoopArguments(args);
  } catch (error) {
    if (error instanceof FlagError) return error.message;
    throw error;
  }
  return "";
}

describe("a bad flag is a sentence:", () => {
  test.each([
    [["--count=4", "--heldout=a"], "--rounds is needed"],
    [["--rounds=1", "--heldout=a"], "--count is needed"],
    [["--rounds=1", "--count=4"], "--heldout is needed: human dialogues that no training saw"],
    [[...needed, "--rounds=0"], '--rounds must be a whole number from 1, found "0"'],
    [[...needed, "--role=judge"], '--role must be one of user, assistant, both, found "judge"'],
    [[...needed, "--gate=best"], '--gate must be one of not-worse, better, any, found "best"'],
    [[...needed, "--margin=-1"], '--margin must be a number that is not negative, found "-1"'],
    [[...needed, "--holdout=1"], '--holdout must be a number from 0 to below 1, found "1"'],
    [
      [...needed, "--without=luck"],
      '--without must be one of stop-reason, rounds, length, exact-duplicate, near-duplicate, found "luck"',
    ],
    [[...needed, "--name=a/b"], '--name must be letters, digits, ".", "_" or "-", at most 40, found "a/b"'],
    [[...needed, "--lr=fast"], '--lr must be a number that is not negative, found "fast"'],
    [[...needed, "--base=x"], "Unknown option '--base'"],
  ])("%j", (args, sentence) => {
    expect(refusal(...args)).toBe(sentence);
  });
});

test("accepted models lie in the run folder, and that is named after the run, unless said otherwise", () => {
  expect(optionsOf()).toMatchObject({ runFolder: "runs/loop", modelsFolder: "runs/loop/models" });
  expect(optionsOf("--name=shop")).toMatchObject({ runFolder: "runs/shop", modelsFolder: "runs/shop/models" });
  expect(optionsOf("--run-folder=a", "--out=b")).toMatchObject({ runFolder: "a", modelsFolder: "b" });
});

test("what the trainer is told is handed on as it is", () => {
  const { trainArguments, roles } = optionsOf(
    "--lr",
    "0.001",
    "--method=lora",
    "--gradient-checkpointing",
    "--role=user",
  );
  expect(trainArguments).toEqual(["--method=lora", "--lr=0.001", "--gradient-checkpointing"]);
  expect(roles).toEqual(["user"]);
});

test("settings hold every flag that decides the outcome, and none that only says how far, where or how fast", () => {
  const free = new Set(["rounds", "run-folder", "out", "resume", "verify", "url", "judge-url", "threads", "help"]);
  const own = Object.keys(LOOP_FLAGS).filter((name) => !free.has(name));
  expect(Object.keys(optionsOf().settings).toSorted()).toEqual(own.toSorted());
  expect(optionsOf("--lr=0.1", "--rounds=9").settings).toEqual({ ...optionsOf().settings, lr: "0.1" });
});

test("the help names every flag", () => {
  for (const name of [...Object.keys(LOOP_FLAGS), ...HANDED_ON]) expect(LOOP_HELP).toContain(`  --${name}`);
  expect(parseLoopArguments(["--help"])).toEqual({ kind: "help" });
});
