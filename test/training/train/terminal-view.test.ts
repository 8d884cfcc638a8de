// A training is a bar where there is a terminal, and a few lines in a log.
import { expect, test } from "vitest";
import { TrainingView } from "../../../training/train/terminal-view.ts";
import { startEvent } from "./recorded-run.ts";

function shown(isTTY: boolean, steps: number): string {
  let text = "";
  const view = new TrainingView({ isTTY, write: (piece) => (text += piece) });
  view.show({ ...startEvent, event: "start", steps });
  for (let step = 1; step <= steps; step++) {
    const measured = step === 25 ? { heldout_loss: 1.75 } : {};
    view.show({ event: "step", step, steps, loss: 2, tokens_per_s: 2500.4, eta_s: 3661 - step, ...measured });
  }
  view.show({ event: "done", result: "result", steps, best: 1.75, best_step: 25 });
  view.end();
  return text;
}

test("in a log: the opening, a line every tenth and every measure, the best", () => {
  expect(shown(false, 100).split("\n")).toEqual([
    "training 1,000 of 3,221,952 parameters on cpu: 100 steps",
    "19,072 examples, 4,963,834 tokens, 2,704,698 of them in the loss; 399 held out",
    "3 examples were cut at the context's end",
    "step 10/100 · loss 2.0000 · 2,500 tokens/s · 1:00:51 left",
    "step 20/100 · loss 2.0000 · 2,500 tokens/s · 1:00:41 left",
    "step 25/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 1:00:36 left",
    "step 30/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 1:00:31 left",
    "step 40/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 1:00:21 left",
    "step 50/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 1:00:11 left",
    "step 60/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 1:00:01 left",
    "step 70/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 59:51 left",
    "step 80/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 59:41 left",
    "step 90/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s · 59:31 left",
    "step 100/100 · loss 2.0000 · held-out 1.7500 · 2,500 tokens/s",
    "best held-out loss 1.7500 after step 25",
    "",
  ]);
});

test("on a terminal every step redraws one line, and what follows begins on a new one", () => {
  const text = shown(true, 2);
  const bar = `[${"█".repeat(12)}${" ".repeat(12)}] step 1/2 · loss 2.0000`;
  expect(text).toContain(`\r${bar}`);
  expect(text.split("\n").at(-2)).toBe("best held-out loss 1.7500 after step 25");
  expect(text).toContain("\u001B[K\nbest");
});
