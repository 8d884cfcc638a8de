// What "auto" comes to, and what the settings of a fine-tuning are in a recipe's own flags.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTrainArguments } from "../../../training/train/cli-options.ts";
import { baseLearningRate, recipeFlagsOf, resolveHyperparameters } from "../../../training/tune/hyperparameters.ts";

const auto = { epochs: "auto", batchSize: "auto", learningRateMultiplier: "auto" } as const;
const positive = (max: number) => fc.double({ min: 1e-3, max, noNaN: true });
const counts = (examples: number) => ({ examples, heldout: 0, tokens: examples * 100 });

describe("auto", () => {
  it.each([
    [1, 25, 1],
    [3, 25, 3],
    [10, 10, 8],
    [33, 3, 8],
    [34, 3, 8],
    [1000, 3, 8],
    [8333, 3, 17],
    [8334, 2, 17],
    [25_000, 1, 50],
    [1_000_000, 1, 256],
  ])("over %i chats is %i passes in batches of %i", (examples, epochs, batchSize) => {
    expect(resolveHyperparameters(auto, counts(examples))).toEqual({ epochs, batchSize, learningRateMultiplier: 1 });
  });

  it("leaves what was said as it is", () => {
    const said = { epochs: 7, batchSize: 64, learningRateMultiplier: 0.3 };
    expect(resolveHyperparameters(said, counts(10))).toEqual(said);
  });
});

it.each([
  [7e9, false, 2e-5],
  [7e9, true, 2e-4],
  [1.35e8, false, 1.44e-4],
  [3.2e6, false, 9.35e-4],
  [1e5, false, 1e-3],
  [1e5, true, 2e-3],
])("a model of %d parameters has the rate that suits it (adapters: %s): %d", (parameters, isLora, rate) => {
  expect(baseLearningRate(parameters, isLora)).toBeCloseTo(rate, 6);
});

describe("a recipe's flags", () => {
  const settings = { epochs: 3, batchSize: 8, learningRateMultiplier: 2 };

  it("say batches in tokens, and measure and keep often enough", () => {
    const known = { examples: 40, heldout: 10, tokens: 10_000 };
    expect(recipeFlagsOf(settings, known, { lora: null, seed: 5 }, 7e9)).toEqual([
      "--method=full",
      "--epochs=3",
      "--batch-tokens=1600",
      "--lr=0.00004",
      "--seed=5",
      "--evaluate-every=2",
      "--checkpoint-every=2",
    ]);
  });

  it("are ones that npm run train knows, whatever was asked for", () => {
    fc.assert(
      fc.property(
        fc.record({
          epochs: fc.integer({ min: 1, max: 50 }),
          batchSize: fc.integer({ min: 1, max: 256 }),
          learningRateMultiplier: positive(1000),
        }),
        fc.record({
          examples: fc.integer({ min: 1, max: 1e6 }),
          heldout: fc.nat(1e4),
          tokens: fc.integer({ min: 2, max: 1e9 }),
        }),
        fc.option(fc.record({ rank: fc.integer({ min: 1, max: 256 }), alpha: positive(1024) })),
        fc.nat(2 ** 31 - 1),
        positive(1e10),
        (hyperparameters, known, lora, seed, parameters) => {
          const flags = recipeFlagsOf(hyperparameters, known, { lora, seed }, parameters);
          const args = ["--data=d", "--model=m", "--id=i", "--role=user", ...flags];
          expect(parseTrainArguments(args, new Date(0))).toMatchObject({ kind: "train" });
        },
      ),
    );
  });
});
