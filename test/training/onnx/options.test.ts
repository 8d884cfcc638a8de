// The recipe reads the flags that the command hands on, and says in a sentence what it cannot take.
import { expect, test } from "vitest";
import { parseRecipeOptions } from "../../../training/onnx/options.ts";

const needed = ["--data=d", "--run-folder=r", "--base=b"];

test("defaults are those of the other recipe", () => {
  expect(parseRecipeOptions(needed)).toMatchObject({
    dataFolder: "d",
    runFolder: "r",
    baseFolder: "b",
    tokenizerFolder: "b",
    lora: null,
    epochs: 3,
    maxSteps: null,
    batchTokens: 16_384,
    learningRate: 2e-5,
    clip: 1,
    saveType: "F32",
    threads: null,
    isResuming: false,
  });
});

test("flags are read by their kind", () => {
  const flags = ["--method=lora", "--lora-rank=4", "--lora-alpha=8.5", "--clip=0", "--save-dtype=bfloat16", "--resume"];
  expect(parseRecipeOptions([...needed, ...flags, "--gradient-checkpointing"])).toMatchObject({
    lora: { rank: 4, alpha: 8.5 },
    clip: Number.POSITIVE_INFINITY,
    saveType: "BF16",
    isResuming: true,
    isCheckpointing: true,
  });
});

test.each([
  [["--run-folder=r", "--base=b"], "--data is needed"],
  [["--data=d", "--base=b"], "--run-folder is needed"],
  [["--data=d", "--run-folder=r"], "a model from scratch needs --tokenizer"],
  [["--data=d", "--run-folder=r", "--tokenizer=t", "--method=lora"], "--method lora needs --base"],
  [[...needed, "--config=c"], "--base and --config exclude each other"],
  [[...needed, "--method=adapter"], '--method must be full or lora, found "adapter"'],
  [
    [...needed, "--base-precision=int4"],
    "--base-precision int4 needs --method lora: weights in few bits cannot be trained",
  ],
  [[...needed, "--save-dtype=int8"], '--save-dtype must be float32 or float16 or bfloat16, found "int8"'],
  [[...needed, "--device=webgpu"], '--device must be auto or cpu or cuda, found "webgpu"'],
  [[...needed, "--batch-tokens=0"], "--batch-tokens must be at least 1"],
  [[...needed, "--lr=quick"], '--lr must be a number that is not negative, found "quick"'],
  [[...needed, "--lora-dropout=0.1"], "Unknown option '--lora-dropout'"],
])("%j: %s", (args, sentence) => {
  expect(() => parseRecipeOptions(args)).toThrow(sentence);
});
