import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareHeldOut } from "../../../training/evaluate/compare-held-out.ts";
import { heldOutFigures } from "../../../training/evaluate/held-out.ts";

const score = (nats: number, tokens: number, bytes: number, turns = 1) => ({
  nats,
  tokens,
  bytes,
  turns,
  windows: 1,
  leftOutTurns: 0,
});
const twelve = Array.from({ length: 12 }, (_, index) => index);
const own = twelve.map((index) => score(10 + ((7 * index) % 5), 8 + (index % 3), 20 + 3 * index));
const other = own.map(({ nats, tokens, bytes }, index) => score(nats + (index % 5) - 1.25, tokens + 1, bytes));

const close = (value: number, low: number, high: number) => ({
  value: expect.closeTo(value, 12),
  low: expect.closeTo(low, 12),
  high: expect.closeTo(high, 12),
});

describe("two models on the same dialogues", () => {
  // Computed apart from this code, in Python: Philox's draws, sums over the drawn dialogues, NumPy's percentiles.
  it("have the difference of their bits a byte, resampled in pairs", () => {
    const found = compareHeldOut(own, other, 7);
    expect(found).toMatchObject({ dialogues: 12, unpaired: 0, turns: 12, bytes: 438, betterDialogues: 6 });
    expect(found.model).toEqual(close(0.46772304978591966, 0.3968859851441526, 0.5646022652518835));
    expect(found.against).toEqual(close(0.4874859955515219, 0.40214404049027025, 0.5918988059279361));
    expect(found.difference).toEqual(close(0.019762945765602224, -0.012739029058622231, 0.052190518275052944));
    // Each model's own figures are of the same resamplings.
    expect(found.model).toEqual(heldOutFigures(own, 7).bitsPerByte);
    expect(found.against).toEqual(heldOutFigures(other, 7).bitsPerByte);
  });

  it("differ by nothing where they are one, and by as much the other way round", () => {
    expect(compareHeldOut(own, own, 3).difference).toEqual({ value: 0, low: 0, high: 0 });
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.1, max: 50, noNaN: true }), { minLength: 12, maxLength: 12 }), (nats) => {
        const third = own.map(({ tokens, bytes }, index) => score(nats[index]!, tokens, bytes));
        const there = compareHeldOut(own, third, 5).difference!;
        const back = compareHeldOut(third, own, 5).difference!;
        expect(back.value).toBeCloseTo(-there.value, 12);
        expect([back.low, back.high]).toEqual([expect.closeTo(-there.high, 12), expect.closeTo(-there.low, 12)]);
      }),
      { numRuns: 10 },
    );
  });

  it("are told apart by pairs where their own intervals overlap", () => {
    // Dialogues differ far more than the models do.
    const hard = twelve.map((index) => score(5 + 9 * index, 10, 40));
    const harder = hard.map(({ nats }) => score(nats + 1, 10, 40));
    const { model, against, difference } = compareHeldOut(hard, harder, 1);
    expect(model!.high).toBeGreaterThan(against!.low);
    expect(difference!.low).toBeCloseTo(1 / Math.LN2 / 40, 12);
    expect(difference!.high).toBeCloseTo(1 / Math.LN2 / 40, 12);
  });

  it("are compared on turns that both scored: other dialogues are counted and left out", () => {
    const short = [score(3, 4, 10, 2), ...other.slice(1)];
    const whole = [score(6, 8, 20, 4), ...own.slice(1)];
    const found = compareHeldOut(whole, short, 7);
    expect(found).toMatchObject({ dialogues: 11, unpaired: 1, bytes: 418 });
    expect(found).toEqual({ ...compareHeldOut(own.slice(1), other.slice(1), 7), unpaired: 1 });
  });

  it("have no figures where nothing was scored", () => {
    const nothing = score(0, 0, 0, 0);
    expect(compareHeldOut([nothing], [nothing], 1)).toEqual({
      dialogues: 0,
      unpaired: 0,
      turns: 0,
      bytes: 0,
      model: null,
      against: null,
      difference: null,
      betterDialogues: 0,
    });
  });
});
