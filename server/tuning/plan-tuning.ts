// Owns what a request for a fine-tuning comes to: which model, whose turns, what its result will be called. Everything that can be
// found wrong at once is found here. It looks at no file and writes nothing.
import { randomInt } from "node:crypto";
import { isModelId } from "../../runtime/model-id.ts";
import type { ModelCatalog } from "../model-catalog.ts";
import { ApiError, excerpt } from "../openai/error.ts";
import { randomLetters } from "../openai/ids.ts";
import type { NewTuningJob } from "./records.ts";
import type { TuningBody } from "./tuning-schema.ts";
import { organization } from "./wire.ts";

/** The adapters' scale over their rank, where only the rank is said. */
const alphaPerRank = 2;

/** Throws ApiError. `isLocal` says whether a served model has a folder here. */
export async function planTuning(
  body: TuningBody,
  catalog: ModelCatalog,
  isLocal: (modelId: string) => Promise<boolean>,
): Promise<NewTuningJob> {
  const { training_file: trainingFile, method, suffix = null, metadata = null } = body;
  const model = catalog.get(body.model);
  if (model === undefined || !(await isLocal(body.model))) {
    const message = `Model ${excerpt(body.model)} is not available for fine-tuning or does not exist.`;
    throw new ApiError(400, message, { param: "model", code: "model_not_available" });
  }
  const { id, role, modelHash } = model.info;
  if (body.role !== undefined && body.role !== null && body.role !== role) {
    const message = `The model '${id}' writes the ${role}'s turns, and no others can be trained with it.`;
    throw new ApiError(400, message, { param: "role", code: "invalid_value" });
  }
  const given = method?.supervised?.hyperparameters ?? body.hyperparameters;
  const lora = method?.supervised?.lora ?? null;
  const jobId = `ftjob-${randomLetters()}`;
  return {
    id: jobId,
    model: id,
    fineTunedModel: nameOf(id, suffix ?? ""),
    trainingFile,
    validationFile: body.validation_file ?? null,
    seed: body.seed ?? randomInt(2 ** 31),
    suffix: suffix ?? null,
    metadata: metadata ?? null,
    plan: {
      role,
      modelHash,
      hyperparameters: {
        epochs: given?.n_epochs ?? "auto",
        batchSize: given?.batch_size ?? "auto",
        learningRateMultiplier: given?.learning_rate_multiplier ?? "auto",
      },
      lora: lora === null ? null : { rank: lora.rank, alpha: lora.alpha ?? alphaPerRank * lora.rank },
    },
  };
}

/** `ft:BASE:ORGANIZATION:SUFFIX:ID`. What is tuned once more keeps the name of its first base. */
function nameOf(base: string, suffix: string): string {
  const first = base.startsWith("ft:") ? (base.split(":")[1] ?? base) : base;
  const name = `ft:${first}:${organization}:${suffix}:${randomLetters(8)}`;
  if (isModelId(name)) return name;
  const message = `Invalid 'suffix': with it, the name of the model would be too long.`;
  throw new ApiError(400, message, { param: "suffix", code: "string_above_max_length" });
}
