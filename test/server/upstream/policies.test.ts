import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConcurrencyLimit, type Permit } from "../../../server/upstream/concurrency.ts";
import { UpstreamFault } from "../../../server/upstream/fault.ts";
import { retryDelayMs } from "../../../server/upstream/retry.ts";

const policy = { maxRetries: 4, retryDelayMs: 500, maxRetryDelayS: 6 };
const fault = (retryAfterMs: number | null = null) => new UpstreamFault("server_error", "failed", { retryAfterMs });
const never = new AbortController().signal;

describe("the wait before a retry", () => {
  it("doubles, up to its limit, and then there is no other", () => {
    const delays = [1, 2, 3, 4, 5].map((attempt) => retryDelayMs(attempt, fault(), policy, () => 1));
    expect(delays).toEqual([500, 1000, 2000, 4000, null]);
    expect(retryDelayMs(9, fault(), { ...policy, maxRetries: 20 }, () => 1)).toBe(6000);
  });

  it("is spread over its upper half, and never less than asked for", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(6000),
        (n, r, asked) => {
          const whole = Math.min(6000, 500 * 2 ** (n - 1));
          const delay = retryDelayMs(n, fault(asked), policy, () => r) ?? -1;
          expect(delay).toBeGreaterThanOrEqual(Math.max(asked, whole / 2));
          expect(delay).toBeLessThanOrEqual(Math.max(asked, whole));
        },
      ),
    );
  });

  it("is not taken when more is asked for than there is", () => {
    expect(retryDelayMs(1, fault(6001), policy)).toBeNull();
  });

  it("is not taken for what cannot be cured", () => {
    for (const kind of ["bad_key", "no_quota", "context_overflow"] as const) {
      expect(retryDelayMs(1, new UpstreamFault(kind, "no", { wishesRetry: true }), policy)).toBeNull();
    }
    expect(retryDelayMs(1, new UpstreamFault("server_error", "no", { wishesRetry: false }), policy)).toBeNull();
  });
});

const take = async (limit: ConcurrencyLimit, count: number) => {
  const permits: Permit[] = [];
  for (let left = count; left > 0; left -= 1) permits.push(await limit.acquire(never));
  return permits;
};

describe("the limit", () => {
  it("falls to three quarters with a rate limit, once for all that were under way", async () => {
    const limit = new ConcurrencyLimit(16, 100);
    for (const permit of await take(limit, 16)) {
      permit.rateLimited();
      permit.release();
    }
    expect(limit.state).toEqual({ limit: 12, running: 0, waiting: 0 });
    const [next] = await take(limit, 1);
    next?.rateLimited();
    expect(limit.state.limit).toBe(9);
    // A retry of the same request that is limited again is news.
    next?.rateLimited();
    expect(limit.state.limit).toBe(6);
  });

  it("rises by one with 25 successes, to where it began", async () => {
    const limit = new ConcurrencyLimit(4, 100);
    const [permit] = await take(limit, 1);
    permit?.rateLimited();
    expect(limit.state.limit).toBe(3);
    for (let count = 0; count < 24; count += 1) permit?.succeeded();
    expect(limit.state.limit).toBe(3);
    permit?.succeeded();
    expect(limit.state.limit).toBe(4);
    for (let count = 0; count < 100; count += 1) permit?.succeeded();
    expect(limit.state.limit).toBe(4);
  });

  it("never falls below one", async () => {
    const limit = new ConcurrencyLimit(2, 100);
    for (let count = 0; count < 20; count += 1) {
      const [permit] = await take(limit, 1);
      permit?.rateLimited();
      permit?.release();
    }
    expect(limit.state.limit).toBe(1);
  });

  it("admits in the order of asking, passes over those who left, and takes no more than may wait", async () => {
    const limit = new ConcurrencyLimit(1, 3);
    const [first] = await take(limit, 1);
    const order: string[] = [];
    const leaving = new AbortController();
    const ask = async (name: string, signal = never) => {
      const permit = await limit.acquire(signal);
      order.push(name);
      return permit;
    };
    const waiting = [ask("a"), ask("b", leaving.signal), ask("c")];
    await expect(limit.acquire(never)).rejects.toMatchObject({ code: "queue_full" });
    leaving.abort();
    await expect(waiting[1]).rejects.toMatchObject({ code: "cancelled" });
    expect(limit.state).toEqual({ limit: 1, running: 1, waiting: 2 });
    first?.release();
    first?.release();
    (await waiting[0])?.release();
    await waiting[2];
    expect(order).toEqual(["a", "c"]);
    expect(limit.state).toEqual({ limit: 1, running: 1, waiting: 0 });
  });

  it("holds whatever happens: never more under way than its highest, and nobody is forgotten", async () => {
    const step = fc.constantFrom("ask", "leave", "succeed", "limit", "release");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 5 }), async (steps, max) => {
        const limit = new ConcurrencyLimit(max, 1000);
        const held: Permit[] = [];
        const askers: { readonly controller: AbortController; readonly done: Promise<void> }[] = [];
        for (const kind of steps) {
          if (kind === "ask") {
            const controller = new AbortController();
            const done = limit.acquire(controller.signal).then(
              (permit) => void held.push(permit),
              () => {},
            );
            askers.push({ controller, done });
          } else if (kind === "leave") askers.shift()?.controller.abort();
          else if (kind === "succeed") held[0]?.succeeded();
          else if (kind === "limit") held[0]?.rateLimited();
          else held.shift()?.release();
          await Promise.resolve();
          await Promise.resolve();
          await Promise.resolve();
          const { limit: allowed, running, waiting } = limit.state;
          expect(running).toBeLessThanOrEqual(max);
          expect(allowed).toBeGreaterThanOrEqual(1);
          expect(waiting > 0 && running < allowed).toBe(false);
        }
        while (limit.state.running > 0) {
          held.shift()?.release();
          await Promise.resolve();
          await Promise.resolve();
          await Promise.resolve();
        }
        expect(limit.state).toMatchObject({ running: 0, waiting: 0 });
      }),
      { numRuns: 60 },
    );
  });
});
