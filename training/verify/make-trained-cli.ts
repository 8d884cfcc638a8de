// Trains a few steps of every recorded checkpoint with the recipe on ONNX Runtime, whole, as adapters and from scratch, for
// verify_trained.py to load.
// Usage: node training/verify/make-trained-cli.ts FOLDER
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { uniform } from "../../runtime/engine/random.ts";
import { parseRecipeOptions } from "../onnx/options.ts";
import { runRecipe } from "../onnx/recipe.ts";
import { Reporter } from "../onnx/reporter.ts";

const checkpoints = resolve(import.meta.dirname, "../../test/fixtures/checkpoints");
const names = ["llama3", "smollm2", "llama-bias", "mistral", "qwen2", "qwen3"];
const ways: Readonly<Record<string, readonly string[]>> = {
  full: [],
  bfloat16: ["--save-dtype=bfloat16"],
  lora: ["--method=lora", "--lora-rank=4", "--lora-alpha=8"],
};

const [, , folder] = process.argv;
if (folder === undefined) {
  process.stderr.write("Usage: node training/verify/make-trained-cli.ts FOLDER\n");
  process.exitCode = 2;
} else {
  await make(folder);
}

async function make(out: string): Promise<void> {
  const data = join(out, "data");
  await mkdir(data, { recursive: true });
  await writeFile(join(data, "train.jsonl"), examples(24, 1));
  await writeFile(join(data, "heldout.jsonl"), examples(4, 2));
  for (const name of names) {
    for (const [way, flags] of Object.entries(ways)) {
      await train(join(out, "runs", `${name}-${way}`), data, [`--base=${join(checkpoints, name)}`, ...flags]);
    }
  }
  const shape = ["--layers=2", "--hidden=32", "--heads=4", "--kv-heads=2", "--vocab=64", "--rope-theta=500"];
  const tokenizer = `--tokenizer=${join(checkpoints, "llama3")}`;
  await train(join(out, "runs", "scratch-full"), data, [...shape, tokenizer, "--tied=yes"]);
}

async function train(runFolder: string, data: string, flags: readonly string[]): Promise<void> {
  const own = [
    `--data=${data}`,
    `--run-folder=${runFolder}`,
    "--device=cpu",
    "--lr=0.003",
    "--max-steps=6",
    "--epochs=6",
  ];
  const options = parseRecipeOptions([...own, ...flags]);
  const { signal } = new AbortController();
  const hooks = { availableBytes: () => process.availableMemory(), onDeviceFallback: () => {}, libraryPath: null };
  await runRecipe(options, new Reporter(runFolder, () => {}), hooks, signal);
  process.stdout.write(`${runFolder}\n`);
}

/** Lines of made-up examples of 64 ids, of different lengths. */
function examples(count: number, seed: number): string {
  const lines = Array.from({ length: count }, (_, index) => {
    const draw = (at: number, below: number) => Math.floor(uniform(seed, index, at) * below);
    const ids = Array.from({ length: 12 + draw(0, 20) }, (_id, at) => 1 + draw(1 + at, 63));
    return JSON.stringify({
      id: `${seed}/${index}`,
      input_ids: ids,
      labels: ids.map((id, at) => (at % 4 < 2 ? id : -100)),
    });
  });
  return lines.map((line) => `${line}\n`).join("");
}
