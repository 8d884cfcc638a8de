import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KvCache } from "../../../runtime/engine/kv-cache.ts";
import type { Slot } from "../../../runtime/engine/kv-cache.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** Takes a slot, computes the rest of the prompt and gives the slot back. */
function fill(cache: KvCache, promptIds: readonly number[], sessionId: string | null = null): Slot {
  const { slot } = cache.acquire(promptIds, sessionId)!;
  slot.tokens.push(...promptIds.slice(slot.tokens.length));
  cache.release(slot);
  return slot;
}

describe("KvCache.acquire", () => {
  it("continues the slot whose whole content the prompt begins with", () => {
    const cache = new KvCache(3, 100, true);
    const first = fill(cache, range(0, 20));
    fill(cache, range(50, 60));
    const again = cache.acquire(range(0, 30), null)!;
    expect(again.slot).toBe(first);
    expect(again.reusedTokens).toBe(20);
    expect(again.copyFrom).toBeNull();
  });

  it("leaves the last prompt token to compute, even when all of it is cached", () => {
    const cache = new KvCache(2, 100, true);
    const first = fill(cache, range(0, 20));
    const again = cache.acquire(range(0, 20), null)!;
    expect(again.slot).toBe(first);
    expect(again.reusedTokens).toBe(19);
    expect(again.slot.tokens).toEqual(range(0, 19));
  });

  it("copies a prefix worth it from another slot, also from one in use, and leaves that slot whole", () => {
    const cache = new KvCache(3, 100, true);
    const busy = cache.acquire(range(0, 40), null)!.slot;
    busy.tokens.push(...range(0, 40));
    const other = cache.acquire([...range(0, 30), 99, 98], null)!;
    expect(other.slot).not.toBe(busy);
    expect(other.copyFrom).toEqual({ row: busy.row, tokens: 30 });
    expect(other.reusedTokens).toBe(30);
    expect(other.slot.tokens).toEqual(range(0, 30));
    expect(busy.tokens).toEqual(range(0, 40));
  });

  it("computes a short common prefix instead of copying it", () => {
    const cache = new KvCache(2, 100, true);
    fill(cache, range(0, 40));
    const other = cache.acquire([...range(0, 15), 99], null)!;
    expect(other.copyFrom).toBeNull();
    expect(other.reusedTokens).toBe(0);
  });

  it("where prefixes cannot be copied, takes over the slot with the longest one", () => {
    const cache = new KvCache(3, 100, false);
    fill(cache, [...range(0, 5), 70]);
    const longer = fill(cache, [...range(0, 8), 80]);
    const next = cache.acquire([...range(0, 9), 90], null)!;
    expect(next.slot).toBe(longer);
    expect(next.reusedTokens).toBe(8);
    expect(next.slot.tokens).toEqual(range(0, 8));
  });

  it("evicts the least recently used slot, and a session's only when nothing else is left", () => {
    const cache = new KvCache(3, 100, true);
    const kept = fill(cache, range(0, 10), "dialogue");
    const older = fill(cache, range(100, 110));
    const newer = fill(cache, range(200, 210));
    expect(cache.acquire(range(300, 310), null)!.slot).toBe(older);
    expect(cache.acquire(range(400, 410), null)!.slot).toBe(newer);
    expect(cache.acquire(range(500, 510), null)!.slot).toBe(kept);
    expect(cache.acquire(range(600, 610), null)).toBeNull();
    expect(kept.sessionId).toBeNull();
  });

  it("gives a session its own slot back whatever the prompt", () => {
    const cache = new KvCache(2, 100, true);
    const own = fill(cache, range(0, 10), "a");
    expect(cache.acquire([7, 7, 7], "a")!.slot).toBe(own);
  });

  it("gives a second request of a running session another slot, without taking the session along", () => {
    const cache = new KvCache(2, 100, true);
    const first = cache.acquire(range(0, 10), "a")!.slot;
    const second = cache.acquire(range(0, 10), "a")!.slot;
    expect(second).not.toBe(first);
    expect([first.sessionId, second.sessionId]).toEqual(["a", null]);
    expect(cache.checkInvariants()).toEqual([]);
  });

  it("treats a slot as any other once its session has ended", () => {
    const cache = new KvCache(2, 100, true);
    const kept = fill(cache, range(0, 10), "a");
    fill(cache, range(20, 30));
    cache.endSession("a");
    expect(cache.acquire(range(40, 50), null)!.slot).toBe(kept);
  });
});

describe("KvCache.compact", () => {
  it("brings the active slots to the first rows with one swap per misplaced slot", () => {
    const cache = new KvCache(5, 100, true);
    const slots = range(0, 5).map((row) => cache.slots[row]!);
    slots[3]!.tokens.push(1, 2, 3);
    const swaps = cache.compact([slots[1]!, slots[3]!]);
    expect(swaps).toEqual([{ rowA: 3, tokensA: 3, rowB: 0, tokensB: 0 }]);
    expect([slots[1]!.row, slots[3]!.row]).toEqual([1, 0]);
  });

  it("keeps every slot on exactly one row and moves contents with it, for any history", () => {
    fc.assert(
      fc.property(fc.array(fc.subarray(range(0, 8)), { maxLength: 20 }), (history) => {
        const cache = new KvCache(8, 100, true);
        const slots = [...cache.slots];
        // The rows' contents, as a store would hold them: one number per slot.
        const rows = range(0, 8);
        for (const chosen of history) {
          const active = chosen.map((index) => slots[index]!);
          for (const { rowA, rowB } of cache.compact(active)) [rows[rowA], rows[rowB]] = [rows[rowB]!, rows[rowA]!];
          expect(active.map(({ row }) => row).toSorted((a, b) => a - b)).toEqual(range(0, active.length));
          for (const [index, slot] of slots.entries()) expect(rows[slot.row]).toBe(index);
          expect(cache.checkInvariants()).toEqual([]);
        }
      }),
    );
  });
});

describe("KvCache.makeRoom", () => {
  it("forgets the last token of a full row only", () => {
    const cache = new KvCache(2, 4, true);
    cache.slots[0]!.tokens.push(1, 2, 3, 4);
    cache.slots[1]!.tokens.push(1, 2, 3);
    cache.makeRoom(0);
    cache.makeRoom(1);
    expect(cache.slots.map(({ tokens }) => tokens.length)).toEqual([3, 3]);
  });
});

describe("KvCache.checkInvariants", () => {
  it("names every violation", () => {
    const cache = new KvCache(2, 3, true);
    const [a, b] = cache.slots as [Slot, Slot];
    a.tokens.push(1, 2, 3, 4);
    b.row = 0;
    a.sessionId = "s";
    b.sessionId = "s";
    expect(cache.checkInvariants()).toEqual([
      "row 0 holds 4 tokens",
      "slot on row 1 believes it is on row 0",
      "session s holds two slots",
    ]);
  });
});
