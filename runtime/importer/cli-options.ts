// The importer's command line: its flags, their help, and what they mean as ImportOptions.
// Every bad flag is one sentence. It reads no file and imports nothing.
import { parseArgs } from "node:util";
import type { ModelRole } from "../chat-model.ts";
import type { ImportOptions } from "./import-checkpoint.ts";
import { HEAD_PRECISIONS, PRECISIONS } from "./precision.ts";

const ROLES: readonly ModelRole[] = ["user", "assistant"];
const BLOCK_SIZES = ["16", "32", "64", "128", "256"] as const;
const KV_PRECISIONS = ["float32", "float16"] as const;

export const IMPORT_HELP = `Usage: npm run import -- FOLDER --id NAME --role user|assistant [options]

Turns a Hugging Face checkpoint folder (config.json, safetensors, tokenizer.json) into a model folder.
Architectures: Llama (SmolLM2 among them), Mistral, Qwen2 and Qwen2.5, Qwen3.

  --id NAME                     Name under which the model is served, and of its folder.
  --role user|assistant         Whose turn the model writes.
  --precision PRECISION         float32, float16, int8 or int4 [int8]
  --head-precision PRECISION    float, int8 or int4 for the embedding and the output head [as --precision]
  --block-size N                Quantized values that share a scale: 16, 32, 64, 128 or 256
                                [64 for int4, else 32]
  --kv float32|float16          Type of the key-value cache; quantized models compute in it
                                [float16 for float16 models, else float32]
  --dither                      Round int8 and int4 values up or down by chance, right on average: for checkpoints that were
                                trained a little from int8 or int4 weights, whose change rounding would take back
  --accuracy-level 0-4          How far int8 and int4 kernels may round activations: 4 to 8 bits, 0 not at all [4]
  --context N                   Context window in tokens [all that the model was trained for]
  --end-of-conversation TOKEN   Added token that ends a conversation [<|endconversation|>, where there is one]
  --response-role user|assistant
                                Role of replies over HTTP [assistant]
  --batch-invariant             Answers shall not depend on what runs beside them, to the last bit
  --licence NAME                Licence of the weights, as an SPDX identifier [unknown]
  --source TEXT                 Where the weights come from, attribution included [the folder's name]
  --base-model NAME             The model that these weights were tuned from
  --created-at TIME             ISO 8601 time for the manifest; a fixed one makes equal folders [now]
  --out FOLDER                  Where model folders lie [models]
  --force                       Replace an existing model folder
  --help                        This text
`;

/** What the command line asks for; `refused` is a sentence for the user. */
export type ImportCommand =
  | { readonly kind: "help" }
  | { readonly kind: "refused"; readonly sentence: string }
  | { readonly kind: "import"; readonly options: ImportOptions };

const FLAGS = {
  id: { type: "string" },
  role: { type: "string" },
  precision: { type: "string", default: "int8" },
  "head-precision": { type: "string" },
  "block-size": { type: "string" },
  kv: { type: "string" },
  "accuracy-level": { type: "string" },
  dither: { type: "boolean", default: false },
  context: { type: "string" },
  "end-of-conversation": { type: "string" },
  "response-role": { type: "string" },
  "batch-invariant": { type: "boolean", default: false },
  licence: { type: "string", default: "unknown" },
  source: { type: "string", default: "" },
  "base-model": { type: "string" },
  "created-at": { type: "string" },
  out: { type: "string", default: "models" },
  force: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

class Refusal extends Error {}

/** Reads the arguments after the program's name. */
export function parseImportArguments(args: readonly string[], now: Date): ImportCommand {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
    if (values.help) return { kind: "help" };
    const [source, ...others] = positionals;
    if (source === undefined) throw new Refusal("name the checkpoint folder to import");
    if (others.length > 0) throw new Refusal(`one checkpoint folder at a time, found also ${others.join(", ")}`);
    const options: ImportOptions = {
      source,
      id: needed("--id", values.id),
      role: oneOf("--role", needed("--role", values.role), ROLES),
      precision: oneOf("--precision", values.precision, PRECISIONS),
      headPrecision: optional(values["head-precision"], (text) => oneOf("--head-precision", text, HEAD_PRECISIONS)),
      blockSize: Number(oneOf("--block-size", values["block-size"] ?? defaultBlockSize(values.precision), BLOCK_SIZES)),
      kvPrecision: optional(values.kv, (text) => oneOf("--kv", text, KV_PRECISIONS)),
      accuracyLevel: optional(values["accuracy-level"], (text) =>
        Number(oneOf("--accuracy-level", text, ["0", "1", "2", "3", "4"])),
      ),
      isDithered: values.dither,
      contextWindow: optional(values.context, (text) => positiveInt("--context", text)),
      endOfConversation: values["end-of-conversation"] ?? null,
      responseRole: optional(values["response-role"], (text) => oneOf("--response-role", text, ROLES)),
      isBatchInvariant: values["batch-invariant"],
      licence: values.licence,
      provenance: values.source,
      baseModel: values["base-model"] ?? null,
      createdAt: optional(values["created-at"], (text) => time("--created-at", text)) ?? now,
      outFolder: values.out,
      isReplacing: values.force,
    };
    return { kind: "import", options };
  } catch (error) {
    const isOurs = error instanceof Refusal || (error instanceof TypeError && "code" in error);
    if (!isOurs) throw error;
    // Only the first sentence: parseArgs goes on with advice about its own syntax.
    return { kind: "refused", sentence: (error.message.split(/\.\s/)[0] ?? "").replace(/\.$/, "") };
  }
}

function needed(flag: string, value: string | undefined): string {
  if (value === undefined || value === "") throw new Refusal(`${flag} is needed`);
  return value;
}

function optional<T>(value: string | undefined, read: (text: string) => T): T | null {
  return value === undefined ? null : read(value);
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw new Refusal(`${flag} must be one of ${allowed.join(", ")}, found "${value}"`);
  return found;
}

function positiveInt(flag: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value === 0) {
    throw new Refusal(`${flag} must be a positive integer, found "${text}"`);
  }
  return value;
}

function time(flag: string, text: string): Date {
  const value = new Date(text);
  if (Number.isNaN(value.getTime())) throw new Refusal(`${flag} must be an ISO 8601 time, found "${text}"`);
  return value;
}

// With float32 scales int4 in blocks of 64 takes 4.5 bits a weight, and its products are quicker than in blocks of 32.
function defaultBlockSize(precision: string): (typeof BLOCK_SIZES)[number] {
  return precision === "int4" ? "64" : "32";
}
