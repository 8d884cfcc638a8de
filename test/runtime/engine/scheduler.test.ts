import { describe, expect, it } from "vitest";
import type { Span } from "../../../runtime/engine-api.ts";
import { KvCache } from "../../../runtime/engine/kv-cache.ts";
import { Scheduler } from "../../../runtime/engine/scheduler.ts";
import type { SchedulerOptions, StepPlan } from "../../../runtime/engine/scheduler.ts";
import { Sequence } from "../../../runtime/engine/sequence.ts";
import { greedy } from "../../support/sampling.ts";

const defaults: SchedulerOptions = { prefillChunkTokens: 4, isBatchInvariant: true, maxDecodeRows: 8 };

function sequenceOf(promptTokens: number, decodedSpans: readonly Span[] = []): Sequence {
  const request = {
    promptIds: Array.from({ length: promptTokens }, (_, index) => index),
    decodedSpans,
    sampling: greedy,
    choiceIndex: 0,
    maxTokens: null,
    stopIds: new Set<number>(),
    bannedFirstIds: new Set<number>(),
  };
  return new Sequence(request, 0, () => {});
}

interface Harness {
  readonly scheduler: Scheduler;
  readonly start: (sequence: Sequence) => void;
  readonly run: (sequence: Sequence) => void;
  readonly step: () => StepPlan | null;
}

/** A scheduler with a cache behind it; `step` plans, pretends to compute, commits. */
function harness(options: Partial<SchedulerOptions> = {}): Harness {
  const scheduler = new Scheduler({ ...defaults, ...options });
  const cache = new KvCache(8, 100, true);
  return {
    scheduler,
    start(sequence: Sequence) {
      sequence.slot = cache.acquire(sequence.request.promptIds, null)!.slot;
      scheduler.start(sequence);
    },
    run(sequence: Sequence) {
      sequence.slot = cache.acquire(sequence.request.promptIds, null)!.slot;
      sequence.slot.tokens.push(...sequence.request.promptIds);
      scheduler.running.push(sequence);
    },
    step(): StepPlan | null {
      const plan = scheduler.plan();
      if (plan === null) return null;
      if (plan.kind === "prefill") {
        const { tokens } = plan.sequence.slot!;
        tokens.length = plan.from;
        tokens.push(...plan.sequence.request.promptIds.slice(plan.from, plan.from + plan.count));
      } else {
        for (const { slot, isPrefilled, nextInputId } of plan.sequences)
          if (!isPrefilled) slot!.tokens.push(nextInputId);
      }
      scheduler.commit(plan);
      return plan;
    },
  };
}

const chunks = (plans: readonly (StepPlan | null)[]): unknown[] =>
  plans.map((plan) => (plan?.kind === "prefill" ? [plan.from, plan.count, plan.isLast] : plan?.kind));

describe("Scheduler", () => {
  it("plans nothing when there is nothing to compute", () => {
    expect(harness().scheduler.plan()).toBeNull();
  });

  it("planning changes nothing", () => {
    const { scheduler, start } = harness();
    start(sequenceOf(10));
    expect(scheduler.plan()).toEqual(scheduler.plan());
  });

  it("computes a prompt in chunks and then decodes", () => {
    const { start, step } = harness();
    start(sequenceOf(10));
    expect(chunks([step(), step(), step(), step()])).toEqual([[0, 4, false], [4, 4, false], [8, 2, true], "decode"]);
  });

  it("lets no running sequence wait longer than one chunk", () => {
    const { start, run, step } = harness();
    run(sequenceOf(3));
    start(sequenceOf(10));
    const plans = [step(), step(), step(), step(), step(), step()];
    expect(chunks(plans)).toEqual([[0, 4, false], "decode", [4, 4, false], "decode", [8, 2, true], "decode"]);
  });

  it("never computes a lone row where results must not depend on neighbours", () => {
    const { run, start, step } = harness();
    run(sequenceOf(3));
    expect(step()).toMatchObject({ kind: "decode", rows: 2, sequences: { length: 1 } });
    start(sequenceOf(5)); // 4 + 1: the last chunk takes its predecessor along
    expect(chunks([step(), step(), step()])).toEqual([[0, 4, false], "decode", [3, 2, true]]);
  });

  it("computes lone rows and lone tokens where that is allowed", () => {
    const { run, start, step } = harness({ isBatchInvariant: false });
    run(sequenceOf(3));
    expect(step()).toMatchObject({ kind: "decode", rows: 1 });
    start(sequenceOf(5));
    expect(chunks([step(), step(), step()])).toEqual([[0, 4, false], "decode", [4, 1, true]]);
  });

  it("a prompt of one token has no predecessor to take along", () => {
    const { start, step } = harness();
    start(sequenceOf(1));
    expect(chunks([step()])).toEqual([[0, 1, true]]);
  });

  it("computes what the model once sampled one token at a time, and the rest of the prompt in chunks", () => {
    const { start, step } = harness();
    const spans = [
      { from: 3, to: 5 },
      { from: 10, to: 11 },
    ];
    const sequence = sequenceOf(13, spans);
    start(sequence);
    const plans = Array.from({ length: 8 }, step);
    expect(chunks(plans)).toEqual([
      [0, 3, false],
      "decode",
      "decode",
      [5, 4, false],
      [8, 2, false],
      "decode",
      [11, 2, true],
      "decode",
    ]);
  });

  it("continues inside such a stretch where the cache ends", () => {
    const { scheduler, start, step } = harness();
    const sequence = sequenceOf(6, [{ from: 0, to: 4 }]);
    start(sequence);
    expect(chunks([step(), step(), step(), step(), step()])).toEqual([
      "decode",
      "decode",
      "decode",
      "decode",
      [4, 2, true],
    ]);
    expect(scheduler.prefilling).toEqual([]);
  });

  it("lets sequences take turns when a device decodes fewer rows than there are", () => {
    const { run, step } = harness({ maxDecodeRows: 1 });
    const sequences = [sequenceOf(2), sequenceOf(3), sequenceOf(4)];
    for (const sequence of sequences) run(sequence);
    const order = Array.from({ length: 6 }, () => {
      const plan = step();
      return plan?.kind === "decode" ? sequences.indexOf(plan.sequences[0]!) : null;
    });
    expect(order).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it("removes a sequence from wherever it is", () => {
    const { scheduler, start, run } = harness();
    const [waiting, prefilling, running] = [sequenceOf(2), sequenceOf(2), sequenceOf(2)];
    scheduler.waiting.push(waiting);
    start(prefilling);
    run(running);
    for (const sequence of [waiting, prefilling, running]) scheduler.remove(sequence);
    expect(scheduler.all()).toEqual([]);
    expect(scheduler.plan()).toBeNull();
  });
});
