// What an import shows: a bar that redraws itself on a terminal, plain lines in a log.
import { expect, test } from "vitest";
import { progressDisplay } from "../../../runtime/importer/progress.ts";

function display(isTTY: boolean) {
  let text = "";
  let nowMs = 0;
  const shown = progressDisplay({ isTTY, write: (piece) => (text += piece) }, () => nowMs);
  return {
    at: (ms: number, done: number, phase: "weights" | "checksums" = "weights") => {
      nowMs = ms;
      shown.update({ phase, done, total: 200 });
    },
    end: () => shown.end(),
    take: () => {
      const taken = text;
      text = "";
      return taken;
    },
  };
}

test("without a terminal, each tenth is one line", () => {
  const { at, end, take } = display(false);
  for (let done = 1; done <= 200; done++) at(done, done);
  end();
  const lines = take().split("\n");
  expect(lines.slice(0, 2)).toEqual(["writing weights  10 %", "writing weights  20 %"]);
  expect(lines.length).toBe(11);
  expect(lines[9]).toBe("writing weights 100 %");
});

test("on a terminal the bar redraws in place, at most ten times a second, and says how long it will take", () => {
  const { at, end, take } = display(true);
  at(0, 2, "checksums");
  expect(take()).toBe(`\rreading checkpoint [${" ".repeat(30)}]   1 %\x1b[K`);
  at(50, 4, "checksums");
  expect(take()).toBe("");
  at(100, 200, "checksums");
  expect(take()).toContain("100 %");
  at(200, 1);
  expect(take()).toMatch(/^\n\rwriting weights/);
  at(10_200, 100);
  expect(take()).toBe(`\rwriting weights [${"█".repeat(15)}${" ".repeat(15)}]  50 % 0:10 left\x1b[K`);
  at(10_201, 200);
  expect(take()).toContain("100 %");
  end();
  end();
  expect(take()).toBe("\n");
});
