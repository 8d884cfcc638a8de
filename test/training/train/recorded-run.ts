// A finished training for tests without Python: the recorded checkpoint with a chat template, the export that it could have
// been trained on, and the reference that transformers computed from it. A scripted child says what the recipe would say.
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { copyOf, editJson, recordedLogits } from "../../support/checkpoints.ts";

export const template =
  "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}{% endif %}";

const vocabSize = 64;
// The engine reads BPE tokenizers only; that of the recorded checkpoint knows whole words.
const vocab = Object.fromEntries(
  Array.from({ length: vocabSize }, (_, id) => [["<pad>", "<s>", "</s>"][id] ?? `w${id}`, id]),
);

export interface RecordedRun {
  readonly dataFolder: string;
  readonly checkpoint: string;
  readonly runFolder: string;
}

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Writes all of it under `folder`. `shift` is added to one logit, as if the import were wrong there. */
export async function recordedRun(folder: string, shift = 0): Promise<RecordedRun> {
  const run = {
    dataFolder: join(folder, "data"),
    runFolder: join(folder, "run"),
    checkpoint: await copyOf("smollm2", folder, "checkpoint"),
  };
  await editJson(join(run.checkpoint, "tokenizer_config.json"), { chat_template: template });
  await editJson(join(run.checkpoint, "tokenizer.json"), {
    model: { type: "BPE", vocab, merges: [] },
    decoder: { type: "ByteLevel" },
  });
  await mkdir(run.dataFolder, { recursive: true });
  await mkdir(run.runFolder, { recursive: true });
  const { prompts, logits } = await recordedLogits("smollm2");
  const examples = prompts.map((ids, index) => ({ id: `example-${index}`, input_ids: ids, labels: ids }));
  await writeFile(join(run.dataFolder, "train.jsonl"), examples.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const meta = { format: "tokenized", role: "user", model: { id: "base", templateHash: sha256(template) } };
  await writeFile(join(run.dataFolder, "meta.json"), JSON.stringify(meta));

  let row = 0;
  const described = examples.map(({ id, input_ids, labels }) => {
    const own = logits.slice(row, (row += input_ids.length));
    return {
      id,
      input_ids,
      labels,
      rows: own.length,
      loss_sum: lossSum(own, labels),
      trained_tokens: labels.length - 1,
    };
  });
  await writeFile(
    join(run.runFolder, "reference.json"),
    JSON.stringify({ vocab_size: vocabSize, examples: described }),
  );
  const flat = Float32Array.from(logits.flatMap((values) => Array.from(values)));
  flat[7] = (flat[7] ?? 0) + shift;
  await writeFile(join(run.runFolder, "reference.f32"), new Uint8Array(flat.buffer));
  return run;
}

/** Nats over all labels, computed here in double precision. */
function lossSum(logits: readonly Float32Array[], labels: readonly number[]): number {
  let sum = 0;
  for (const [at, label] of labels.slice(1).entries()) {
    const row = logits[at] ?? new Float32Array();
    const highest = Math.max(...row);
    const total = row.reduce((all, value) => all + Math.exp(value - highest), 0);
    sum += Math.log(total) + highest - (row[label] ?? Number.NaN);
  }
  return sum;
}

/** A program of Node that prints lines and then runs `then`. */
export function scripted(lines: readonly unknown[], then = ""): { program: string; args: string[] } {
  const text = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n");
  return {
    program: process.execPath,
    args: ["-e", `process.stdout.write(${JSON.stringify(`${text}\n`)}, () => { ${then} })`],
  };
}

export const startEvent = {
  event: "start",
  step: 0,
  steps: 40,
  parameters: 3_221_952,
  trained_parameters: 1000,
  device: "cpu",
  processes: 1,
  train_examples: 19_072,
  train_tokens: 4_963_834,
  trained_tokens: 2_704_698,
  heldout_examples: 399,
  cut_examples: 3,
  dropped_examples: 0,
};
