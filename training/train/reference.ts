// Owns what the recipe computed from its checkpoint on real examples: reading reference.json and reference.f32 of a run.
// The recipe's report.py writes them. It compares nothing.
import { open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readJsonObject } from "../../runtime/importer/json.ts";

const ids = z.array(z.int().nonnegative());

const schema = z.object({
  vocab_size: z.int().positive(),
  examples: z.array(
    z.object({
      id: z.string(),
      input_ids: ids,
      labels: z.array(z.int()),
      rows: z.int().nonnegative(),
      loss_sum: z.number(),
      trained_tokens: z.int().nonnegative(),
    }),
  ),
});

export interface ReferenceExample {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  /** Of the first positions; there may be none. */
  readonly logits: readonly Float32Array[];
  /** In nats, over the labels. */
  readonly lossSum: number;
  readonly trainedTokens: number;
}

/** Gives the examples one by one, as logits of a large vocabulary are large. Throws an Error naming the file that is wrong. */
export async function* readReference(runFolder: string): AsyncGenerator<ReferenceExample, void, undefined> {
  const path = join(runFolder, "reference.json");
  const { data, error } = schema.safeParse(await readJsonObject(path));
  if (data === undefined) throw new Error(`${path}: ${error.issues[0]?.message ?? "is wrong"}`);
  const file = await open(join(runFolder, "reference.f32"));
  try {
    let offset = 0;
    for (const example of data.examples) {
      const logits: Float32Array[] = [];
      for (let row = 0; row < example.rows; row++) {
        const values = new Float32Array(data.vocab_size);
        const bytes = new Uint8Array(values.buffer);
        const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
        if (bytesRead !== bytes.length) throw new Error(`${join(runFolder, "reference.f32")}: ends too early`);
        offset += bytes.length;
        logits.push(values);
      }
      yield {
        ids: example.input_ids,
        labels: example.labels,
        logits,
        lossSum: example.loss_sum,
        trainedTokens: example.trained_tokens,
      };
    }
  } finally {
    await file.close();
  }
}
