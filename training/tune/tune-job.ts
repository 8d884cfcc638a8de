// Owns what a fine-tuning is asked for: one JSON file, which whoever starts it writes. It does not know who that is.
import { readFile } from "node:fs/promises";
import { z } from "zod";

const auto = z.literal("auto");
const path = z.string().min(1);

const schema = z.strictObject({
  /** Who asked for it, for the manifest. */
  job: z.string(),
  /** Of the model that is to be made. */
  id: z.string(),
  /** Whose turns are trained. */
  role: z.enum(["user", "assistant"]),
  /** A served model's folder, and its id. */
  modelFolder: path,
  baseModel: z.string(),
  /** Files of chats: `{"messages": […]}`, one a line. */
  trainingFile: path,
  validationFile: path.nullable(),
  /** The job's own; what is found there is gone on with. */
  workFolder: path,
  /** Where models lie. */
  outFolder: path,
  /** For the manifest, so that a job that is run twice makes the same folder twice. */
  createdAt: z.string(),
  source: z.string(),
  recipe: z.enum(["onnx", "pytorch"]),
  /** CPU threads; null for all cores. */
  threads: z.int().positive().nullable(),
  seed: z.int().nonnegative(),
  epochs: z.union([auto, z.number().positive()]),
  /** Examples. */
  batchSize: z.union([auto, z.int().positive()]),
  learningRateMultiplier: z.union([auto, z.number().positive()]),
  /** null trains all weights. */
  lora: z.object({ rank: z.int().positive(), alpha: z.number().positive() }).nullable(),
});

export type TuneJob = z.infer<typeof schema>;

/** Throws an Error that names the field that is wrong. */
export async function readTuneJob(file: string): Promise<TuneJob> {
  const { data, error } = schema.safeParse(JSON.parse(await readFile(file, "utf8")));
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw new Error(`${file}: field ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is wrong"}`);
}
