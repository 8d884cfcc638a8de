import { afterEach, describe, expect, it } from "vitest";
import type { SequenceRequest } from "../../../runtime/engine-api.ts";
import type { EngineOptions } from "../../../runtime/engine/engine.ts";
import { uniform } from "../../../runtime/engine/random.ts";
import { collect, openTestEngine, requestOf } from "../../support/engine.ts";
import type { TestEngine } from "../../support/engine.ts";
import { greedy } from "../../support/sampling.ts";

const opened: TestEngine[] = [];
async function open(overrides: Partial<EngineOptions> = {}): Promise<TestEngine> {
  const test = await openTestEngine(overrides);
  opened.push(test);
  return test;
}
afterEach(async () => {
  const tests = opened.splice(0);
  for (const { engine } of tests) await engine.close();
  for (const { violations } of tests) expect(violations).toEqual([]);
});

/** A prompt of text tokens that differs from every other seed's from its second token on. */
function promptOf(seed: number, length: number): number[] {
  return Array.from({ length }, (_, index) => (index === 0 ? 0 : 10 + Math.floor(uniform(seed, 1, index) * 4000)));
}

const sampled = (seed: number) => ({ ...greedy, temperature: 1, seed });
const untilIdle = async ({ states }: TestEngine): Promise<void> => {
  while (states.at(-1)!.running > 0 || states.at(-1)!.waiting > 0)
    await new Promise((resolve) => setTimeout(resolve, 1));
};

describe("batching", () => {
  it("gives each request bit for bit what it gets alone, under staggered arrival, cancellation and removal", async () => {
    const requests = Array.from({ length: 16 }, (_, index) =>
      requestOf(promptOf(index, 1 + ((index * 37) % 200)), {
        sampling: sampled(index),
        maxTokens: 5 + ((index * 13) % 60),
        stopIds: new Set([4, 5]),
        bannedFirstIds: new Set(index % 3 === 0 ? [4, 5] : []),
      }),
    );
    const alone: { ids: readonly number[]; drawn: Set<string> }[] = [];
    for (const request of requests) {
      // A fresh engine: nothing cached, nobody else.
      const test = await openTestEngine();
      const { ids } = await collect(test.engine, request);
      await test.engine.close();
      alone.push({ ids, drawn: test.drawn });
    }

    const together = await open({ slots: 6 });
    const cancelled: number[] = [];
    const results = await Promise.all(
      requests.map(async (request, index) => {
        await new Promise((resolve) => setTimeout(resolve, index * 3));
        if (index % 5 === 2) {
          // Leaves after a few tokens, in the middle of others' steps.
          const ids: number[] = [];
          for await (const event of together.engine.generate(request, new AbortController().signal)) {
            if (event.type === "token") ids.push(event.id);
            if (ids.length === 4) break;
          }
          cancelled.push(index);
          return ids;
        }
        return (await collect(together.engine, request)).ids;
      }),
    );
    for (const [index, ids] of results.entries()) {
      const expected = alone[index]!.ids;
      expect(ids, `request ${index}`).toEqual(cancelled.includes(index) ? expected.slice(0, ids.length) : expected);
      if (cancelled.includes(index)) continue;
      for (const digest of alone[index]!.drawn) expect(together.drawn.has(digest), `request ${index}`).toBe(true);
    }
    expect(Math.max(...together.steps.map(({ rows }) => rows))).toBeGreaterThan(3);
  });

  it("lets no running sequence wait longer than one chunk of another's prompt", async () => {
    const test = await open({ prefillChunkTokens: 32 });
    const first = collect(test.engine, requestOf(promptOf(1, 5), { maxTokens: 60 }));
    const second = collect(test.engine, requestOf(promptOf(2, 500), { maxTokens: 2 }));
    await Promise.all([first, second]);
    const kinds = test.steps.map(({ kind, tokens }) => (kind === "prefill" && tokens > 16 ? "P" : "d")).join("");
    expect(kinds).toContain("PdPdPdPd");
    expect(kinds.replace(/P+$/, "")).not.toContain("PP");
  });

  it("serves more requests than slots, in the order of arrival", async () => {
    const test = await open({ slots: 2 });
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 7 }, async (_, index) => {
        await collect(test.engine, requestOf(promptOf(index, 10), { maxTokens: 5 }));
        order.push(index);
      }),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(Math.max(...test.states.map(({ usedSlots }) => usedSlots))).toBe(2);
  });
});

describe("prefix reuse", () => {
  it("computes only what a continued conversation adds, with the same result as from nothing", async () => {
    const prompt = promptOf(3, 90);
    const test = await open();
    const first = await collect(test.engine, requestOf(prompt, { maxTokens: 12 }));
    const longer = [...prompt, ...first.ids, 4, ...promptOf(4, 20).slice(1)];
    const second = await collect(test.engine, requestOf(longer, { maxTokens: 12 }));
    // The last sampled token was never fed, so it is not in the cache.
    expect(second.cachedTokens).toBe(prompt.length + first.ids.length - 1);
    const fresh = await open();
    expect((await collect(fresh.engine, requestOf(longer, { maxTokens: 12 }))).ids).toEqual(second.ids);
  });

  it("gives bit for bit the same when the cache of its own earlier words is gone", async () => {
    const turns = [promptOf(1, 40), [4, ...promptOf(2, 9).slice(1)], [4, ...promptOf(3, 30).slice(1)]];
    const cached = await open();
    const prompt: number[] = [];
    const decodedSpans: { from: number; to: number }[] = [];
    for (const [index, turn] of turns.entries()) {
      prompt.push(...turn);
      // The last turn is only asked for: below, by both engines.
      if (index === turns.length - 1) break;
      const said = await collect(cached.engine, requestOf([...prompt], { sampling: sampled(index), maxTokens: 25 }));
      // The last id of a turn that ends for want of tokens was never fed.
      decodedSpans.push({ from: prompt.length, to: prompt.length + said.ids.length - 1 });
      prompt.push(...said.ids);
    }
    const request = requestOf(prompt, { sampling: sampled(7), maxTokens: 25, decodedSpans });
    cached.drawn.clear();
    const expected = await collect(cached.engine, request);
    expect(expected.cachedTokens).toBeGreaterThan(90);

    const empty = await open();
    const neighbour = collect(empty.engine, requestOf(promptOf(9, 200), { sampling: sampled(9), maxTokens: 40 }));
    const again = await collect(empty.engine, request);
    expect([again.cachedTokens, again.ids]).toEqual([0, expected.ids]);
    for (const digest of cached.drawn) expect(empty.drawn.has(digest)).toBe(true);
    await neighbour;
  });

  it("shares a prompt among concurrent requests by copying it", async () => {
    const prompt = promptOf(5, 100);
    const test = await open();
    const choices = await Promise.all(
      [0, 1, 2].map((choiceIndex) =>
        collect(test.engine, requestOf(prompt, { choiceIndex, sampling: sampled(9), maxTokens: 10 })),
      ),
    );
    expect(choices.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 99, 99]);
    expect(new Set(choices.map(({ ids }) => ids.join())).size).toBe(3);
    const prefilled = test.steps.filter(({ kind }) => kind === "prefill").reduce((sum, { tokens }) => sum + tokens, 0);
    expect(prefilled).toBe(100 + 2 + 2);
  });

  it("keeps a session's slot through other requests' pressure", async () => {
    const test = await open({ slots: 3 });
    const prompt = promptOf(6, 50);
    const first = await collect(test.engine, requestOf(prompt, { sessionId: "dialogue", maxTokens: 5 }));
    for (let index = 0; index < 6; index += 1) await collect(test.engine, requestOf(promptOf(20 + index, 60)));
    const longer = [...prompt, ...first.ids, 4, 3];
    const kept = await collect(test.engine, requestOf(longer, { sessionId: "dialogue", maxTokens: 2 }));
    expect(kept.cachedTokens).toBe(54);
    test.engine.endSession("dialogue");
    for (let index = 0; index < 6; index += 1) await collect(test.engine, requestOf(promptOf(40 + index, 60)));
    const gone = await collect(test.engine, requestOf(longer, { maxTokens: 2 }));
    expect(gone.cachedTokens).toBeLessThan(5);
  });
});

describe("ends", () => {
  it("ends at a stop token without feeding it, and says which", async () => {
    const test = await open();
    const all = await collect(test.engine, requestOf([0, 2], { maxTokens: 10 }));
    const stopId = all.ids[3]!;
    const result = await collect(test.engine, requestOf([0, 2], { maxTokens: 10, stopIds: new Set([stopId]) }));
    expect(result.ids).toEqual(all.ids.slice(0, all.ids.indexOf(stopId)));
    expect(result.end).toEqual({ type: "end", reason: "stop_token", stopId });
    expect(test.ends.at(-1)).toMatchObject({ outcome: "stop", completionTokens: result.ids.length + 1 });
  });

  it("ends after maxTokens", async () => {
    const test = await open();
    const result = await collect(test.engine, requestOf([0, 2], { maxTokens: 3 }));
    expect([result.ids.length, result.end?.reason]).toEqual([3, "max_tokens"]);
  });

  it("fills the window to its last token, and looks one token further for a turn that ends right there", async () => {
    const test = await open({ contextWindow: 40 });
    const prompt = promptOf(7, 30);
    const full = await collect(test.engine, requestOf(prompt, { maxTokens: null }));
    expect([full.ids.length, full.end?.reason]).toEqual([10, "window"]);
    // The token that came after the full window was not shown; ask a longer window for it, and make it a stop token.
    const wider = await open({ contextWindow: 64 });
    const next = (await collect(wider.engine, requestOf(prompt, { maxTokens: 11 }))).ids[10]!;
    if (full.ids.includes(next)) throw new Error("choose another prompt: the stop token comes earlier");
    const stopped = await collect(test.engine, requestOf(prompt, { maxTokens: null, stopIds: new Set([next]) }));
    expect([stopped.ids, stopped.end?.reason]).toEqual([full.ids, "stop_token"]);
  });

  it("accepts a prompt that fills the window and refuses one that does not fit, with both lengths", async () => {
    const test = await open({ contextWindow: 40 });
    expect((await collect(test.engine, requestOf(promptOf(8, 40)))).end?.reason).toBe("window");
    expect(() => test.engine.generate(requestOf(promptOf(8, 41)), new AbortController().signal)).toThrow(
      expect.objectContaining({
        code: "context_length_exceeded",
        detail: { contextWindow: 40, promptTokens: 41 },
      }),
    );
  });

  it("never samples a banned id first, and only first", async () => {
    const test = await open();
    const free = await collect(test.engine, requestOf([0, 2], { maxTokens: 2 }));
    const banned = await collect(
      test.engine,
      requestOf([0, 2], { maxTokens: 1, bannedFirstIds: new Set(free.ids.slice(0, 1)) }),
    );
    expect(banned.ids[0]).not.toBe(free.ids[0]);
    const second = await collect(
      test.engine,
      requestOf([0, 2], { maxTokens: 2, bannedFirstIds: new Set(free.ids.slice(1)) }),
    );
    expect(second.ids).toEqual(free.ids);
  });
});

describe("sampling", () => {
  it("the same seed gives the same tokens, another seed or choice others", async () => {
    const test = await open();
    const run = (seed: number, choiceIndex: number) =>
      collect(test.engine, requestOf([0, 2], { sampling: sampled(seed), choiceIndex, maxTokens: 15 }));
    const [a, b, c, d] = [await run(1, 0), await run(1, 0), await run(2, 0), await run(1, 1)];
    expect(b.ids).toEqual(a.ids);
    expect(c.ids).not.toEqual(a.ids);
    expect(d.ids).not.toEqual(a.ids);
  });

  it("a bias of zero changes nothing: the whole row gives what the best candidates give", async () => {
    const test = await open();
    const prompts: SequenceRequest[] = [1, 2, 3, 4, 5].map((seed) =>
      requestOf([0, 2], { sampling: { ...sampled(seed), topP: 0.9 }, maxTokens: 20 }),
    );
    for (const request of prompts) {
      const biased = { ...request, sampling: { ...request.sampling, logitBias: new Map([[7, 0]]) } };
      expect((await collect(test.engine, biased)).ids).toEqual((await collect(test.engine, request)).ids);
    }
  });

  it("mixes greedy, sampled and penalized sequences in one batch without disturbing any", async () => {
    const test = await open();
    const requests = [
      requestOf(promptOf(1, 20)),
      requestOf(promptOf(2, 20), { sampling: sampled(2) }),
      requestOf(promptOf(3, 20), { sampling: { ...sampled(3), presencePenalty: 1000, repetitionPenalty: 1.2 } }),
      requestOf(promptOf(4, 20), { sampling: { ...greedy, logitBias: new Map([[100, 50]]) } }),
    ];
    const together = await Promise.all(requests.map((request) => collect(test.engine, request)));
    for (const [index, request] of requests.entries()) {
      expect((await collect(test.engine, request)).ids).toEqual(together[index]!.ids);
    }
    expect(new Set(together[3]!.ids)).toEqual(new Set([100]));
    expect(new Set(together[2]!.ids).size).toBe(together[2]!.ids.length);
  });
});

describe("neighbours", () => {
  it("that ask for more candidates do not change what a draw in the tail means", async () => {
    const test = await open({ slots: 4 });
    const requests = Array.from({ length: 12 }, (_, seed) =>
      requestOf([0, 2], { sampling: { ...sampled(seed), temperature: 2 }, maxTokens: 20 }),
    );
    const alone = [];
    for (const request of requests) alone.push((await collect(test.engine, request)).ids);
    const neighbour = requestOf([0, 2], { sampling: { ...sampled(1), topK: 900 }, maxTokens: 600 });
    const busy = collect(test.engine, neighbour);
    for (const [index, request] of requests.entries()) {
      expect((await collect(test.engine, request)).ids, `request ${index}`).toEqual(alone[index]);
    }
    expect(test.steps.at(-1)!.rows).toBe(2);
    await busy;
  });
});

describe("cancellation", () => {
  it.each([
    ["in prefill", 900, 0],
    ["in decode", 10, 3],
  ])("%s frees the slot at the next step", async (_, promptTokens, afterTokens) => {
    const test = await open({ slots: 2, prefillChunkTokens: 16 });
    const controller = new AbortController();
    const request = requestOf(promptOf(1, promptTokens), { maxTokens: null });
    const events = test.engine.generate(request, controller.signal)[Symbol.asyncIterator]();
    for (let index = 0; index < afterTokens; index += 1) await events.next();
    while (test.steps.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    const stepsAtAbort = test.steps.length;
    controller.abort();
    const drain = async (): Promise<void> => {
      while ((await events.next()).done !== true);
    };
    await expect(drain()).rejects.toMatchObject({ code: "cancelled" });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(test.steps.length - stepsAtAbort).toBeLessThanOrEqual(1);
    expect(test.ends).toHaveLength(1);
    expect(test.ends[0]!.outcome).toBe("abort");
    expect(test.states.at(-1)).toMatchObject({ running: 0, usedSlots: 0 });
  });

  it("of a waiting request takes it out at once", async () => {
    const test = await open({ slots: 2 });
    const busy = [1, 2].map((seed) => collect(test.engine, requestOf(promptOf(seed, 10), { maxTokens: 60 })));
    const controller = new AbortController();
    const waiting = collect(test.engine, requestOf(promptOf(3, 10)), controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await Promise.all(busy);
    expect(test.ends.filter(({ outcome }) => outcome === "abort")).toHaveLength(1);
    expect(test.ends.find(({ outcome }) => outcome === "abort")).toMatchObject({
      completionTokens: 0,
      firstTokenMs: null,
    });
  });

  it("of a request that never began is refused before it takes a place", async () => {
    const test = await open();
    expect(() => test.engine.generate(requestOf([0, 2]), AbortSignal.abort())).toThrow("cancelled");
    expect(test.ends).toEqual([]);
  });
});

describe("limits", () => {
  it("refuses what slots and queue do not hold, by requests and by tokens, and accepts again afterwards", async () => {
    const test = await open({ slots: 2, maxWaitingRequests: 3, maxWaitingTokens: 60 });
    const signal = new AbortController().signal;
    // Two will find slots, three wait.
    const accepted = [0, 1, 2, 3, 4].map((seed) =>
      collect(test.engine, requestOf(promptOf(seed, 10), { maxTokens: 8 })),
    );
    expect(() => test.engine.generate(requestOf(promptOf(5, 10)), signal)).toThrow(
      expect.objectContaining({ code: "queue_full", detail: { retryAfterMs: 1000 } }),
    );
    expect(() => test.engine.assertAccepting()).toThrow("The queue is full: 5 requests with 50 tokens are waiting.");
    await Promise.all(accepted);
    const small = [6, 7, 8].map((seed) => collect(test.engine, requestOf(promptOf(seed, 10))));
    expect(() => test.engine.generate(requestOf(promptOf(9, 51)), signal)).toThrow("The queue is full");
    await Promise.all(small);
    await collect(test.engine, requestOf(promptOf(9, 150), { maxTokens: 1 }));
  });
});

describe("close", () => {
  it("ends running and waiting sequences as draining, refuses new ones, and can be called twice", async () => {
    const test = await openTestEngine({ slots: 2 });
    const running = [1, 2, 3].map((seed) =>
      collect(test.engine, requestOf(promptOf(seed, 300), { maxTokens: null })).catch((error: unknown) => error),
    );
    while (test.steps.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([test.engine.close(), test.engine.close()]);
    for (const error of await Promise.all(running)) expect(error).toMatchObject({ code: "draining" });
    expect(() => test.engine.generate(requestOf([0, 2]), new AbortController().signal)).toThrow("shutting down");
    expect(test.ends.map(({ outcome }) => outcome)).toEqual(["abort", "abort", "abort"]);
  });

  it("leaves an idle engine's slots all free", async () => {
    const test = await open();
    await Promise.all([1, 2, 3].map((seed) => collect(test.engine, requestOf(promptOf(seed, 30)))));
    await untilIdle(test);
    expect(test.states.at(-1)).toMatchObject({ running: 0, usedSlots: 0, waiting: 0 });
  });
});
