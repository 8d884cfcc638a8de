import { expect, test } from "vitest";
import { JobView } from "../../../../server/selfplay/jobs/job-view.ts";

const turn = { type: "turn", is_kept: true, completion_tokens: 50 };
const ended = (completed: number, reason: string) => ({
  type: "dialogue",
  stop_reason: reason,
  completed,
  failed: 0,
  cancelled: 0,
  total: 4,
});

test("the line tells dialogues, turns, speed, the time left and why dialogues ended", () => {
  const view = new JobView();
  expect(view.take({ type: "status", status: "running" }, 0)).toBe(true);
  for (let turns = 0; turns < 4; turns += 1) view.take(turn, 5000);
  view.take(ended(1, "window"), 10_000);
  expect(view.line(10_000)).toBe(
    "██████░░░░░░░░░░░░░░░░░░ 1/4 dialogues · 4 turns · 20 tokens/s · ETA 0:30 · window 1",
  );
  view.take(ended(2, "max_turns"), 20_000);
  expect(view.line(20_000)).toContain("2/4 dialogues · 4 turns · 10 tokens/s · ETA 0:20 · window 1 max_turns 1");
});

test("what it does not know is ignored, and a failed job says why", () => {
  const view = new JobView();
  expect(view.take({ type: "weather" }, 0)).toBe(false);
  expect(view.line(0)).toContain("… dialogues · 0 turns · 0 tokens/s · ETA –");
  view.take({ type: "status", status: "failed", error: "Every dialogue failed; each says why." }, 1);
  expect(view.summary(1)).toMatch(/^failed · .* Every dialogue failed; each says why\.$/);
});
