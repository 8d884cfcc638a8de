// The command line of `npm run checkpoint`: its flags, their help, and what they mean. Every bad flag is one sentence.
// It looks for the model's folder and opens nothing.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { manifestName } from "../manifest.ts";
import { modelFolderName } from "../model-id.ts";
import type { CheckpointOptions } from "./write-checkpoint.ts";

export const CHECKPOINT_HELP = `Usage: npm run checkpoint -- MODEL --out FOLDER [options]

Turns a served model back into a Hugging Face checkpoint folder (config.json, model.safetensors in float32, token files), to be
trained further or to be loaded elsewhere. MODEL is the id of a model or its folder.

  --out FOLDER     New folder; it has its name only when it is whole
  --models FOLDER  Where model folders lie [models]
  --force          Replace an existing folder
  --help           This text
`;

/** What the command line asks for; `refused` is a sentence for the user. */
export type CheckpointCommand =
  | { readonly kind: "help" }
  | { readonly kind: "refused"; readonly sentence: string }
  | { readonly kind: "write"; readonly options: CheckpointOptions };

const FLAGS = {
  out: { type: "string" },
  models: { type: "string", default: "models" },
  force: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** Reads the arguments after the program's name. */
export function parseCheckpointArguments(args: readonly string[]): CheckpointCommand {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
  } catch (error) {
    // Only the first sentence: parseArgs goes on with advice about its own syntax.
    const message = error instanceof Error ? error.message : String(error);
    return refused((message.split(/\.\s/)[0] ?? "").replace(/\.$/, ""));
  }
  const { values, positionals } = parsed;
  if (values.help) return { kind: "help" };
  const [model, ...more] = positionals;
  if (model === undefined || more.length > 0) return refused("name one model");
  if (values.out === undefined || values.out === "") return refused("--out is needed");
  const served = join(values.models, modelFolderName(model));
  const modelFolder = [model, served].find((folder) => existsSync(join(folder, manifestName)));
  if (modelFolder === undefined)
    return refused(`${model} names no model folder: there is neither ${model} nor ${served}`);
  return { kind: "write", options: { modelFolder, outFolder: values.out, isReplacing: values.force } };
}

function refused(sentence: string): CheckpointCommand {
  return { kind: "refused", sentence };
}
