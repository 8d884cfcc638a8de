// The recipe's process is believed by what it says and how it ends: never a result that was not announced, never a lost sentence.
import { describe, expect, test } from "vitest";
import type { RecipeEvent } from "../../../training/train/events.ts";
import { type RecipeCommand, runRecipe } from "../../../training/train/recipe-run.ts";
import { scripted, startEvent } from "./recorded-run.ts";

const never = new AbortController().signal;
const step = { event: "step", step: 1, steps: 40, loss: 2.5 };
const done = { event: "done", result: "/runs/one/result", steps: 40, best: 1.5, best_step: 30 };

async function run(command: RecipeCommand, signal = never) {
  const events: RecipeEvent[] = [];
  const ending = await runRecipe(command, (event) => void events.push(event), signal);
  return { ending, names: events.map(({ event }) => event) };
}

describe("a recipe that speaks", () => {
  test("hands on its events in order, and leaves out what is none", async () => {
    const noise = ["Loading weights", '{"event":"step"}', '{"event":"unheard of"}', "{ broken", ""];
    const { ending, names } = await run(scripted([startEvent, ...noise, step, done]));
    expect(names).toEqual(["start", "step", "done"]);
    expect(ending).toMatchObject({ kind: "done", result: "/runs/one/result" });
  });

  test("fails with its own sentence", async () => {
    const message = "train.jsonl, line 3: has 4 input_ids and 5 labels";
    const failing = scripted([startEvent, { event: "error", message }], "process.exitCode = 2");
    await expect(run(failing)).rejects.toThrow(new Error(message));
  });

  test("that breaks without a word fails with the last it wrote on the error stream, bars left out", async () => {
    const stderr = String.raw`process.stderr.write("weights:  10%|##  |\nKilled: out of memory\n"); process.exitCode = 9`;
    await expect(run(scripted([startEvent], stderr))).rejects.toThrow(
      new Error("the training ended with exit code 9\n  Killed: out of memory"),
    );
  });

  test("is not believed when it breaks after saying done", async () => {
    await expect(run(scripted([startEvent, done], "process.exitCode = 1"))).rejects.toThrow("exit code 1");
  });
});

describe("aborting", () => {
  const waiting = scripted(
    [startEvent],
    `setInterval(() => {}, 1000); process.on("SIGTERM", () => {
       console.log(JSON.stringify({ event: "interrupted", step: 12 })); process.exit(130); });
     console.log(JSON.stringify({ event: "checkpoint", step: 0 }));`,
  );

  test("asks it once to stop, and waits for its checkpoint", async () => {
    const abort = new AbortController();
    const ending = await runRecipe(
      waiting,
      ({ event }) => {
        if (event === "checkpoint") abort.abort();
      },
      abort.signal,
    );
    expect(ending).toEqual({ kind: "interrupted", step: 12 });
  });

  test("before it had begun says that there is nothing to resume", async () => {
    const abort = new AbortController();
    abort.abort();
    await expect(run(scripted([], "setInterval(() => {}, 1000)"), abort.signal)).rejects.toThrow("nothing to resume");
  });
});
