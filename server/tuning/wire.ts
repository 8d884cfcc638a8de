// Owns how fine-tuning jobs, their events and checkpoints look to OpenAI's clients, with our two fields besides: `role`, and
// `lora` in the method. It knows no store.
import type { StoredWorkEvent } from "../work/event-rows.ts";
import { hasEnded, type Hyperparameters, type StoredTuningJob } from "./records.ts";

/** The one organization of a gateway; it also stands in the names of fine-tuned models. */
export const organization = "realchat";

const seconds = (ms: number | null) => (ms === null ? null : Math.floor(ms / 1000));

/** OpenAI's job object. */
export function toWireJob(job: StoredTuningJob) {
  const { id, status, plan, error, metadata, model, seed, suffix } = job;
  const hyperparameters = toWireHyperparameters(job.hyperparameters ?? plan.hyperparameters);
  const lora = plan.lora === null ? {} : { lora: plan.lora };
  return {
    id,
    object: "fine_tuning.job",
    model,
    created_at: seconds(job.createdAtMs),
    finished_at: seconds(job.finishedAtMs),
    fine_tuned_model: status === "succeeded" ? job.fineTunedModel : null,
    organization_id: `org-${organization}`,
    result_files: job.resultFiles,
    status,
    training_file: job.trainingFile,
    validation_file: job.validationFile,
    hyperparameters,
    trained_tokens: hasEnded(status) ? job.trainedTokens : null,
    error,
    user_provided_suffix: suffix,
    seed,
    estimated_finish: seconds(job.estimatedFinishMs),
    integrations: [],
    metadata,
    method: { type: "supervised", supervised: { hyperparameters, ...lora } },
    role: plan.role,
  };
}

function toWireHyperparameters({ epochs, batchSize, learningRateMultiplier }: Hyperparameters) {
  return { n_epochs: epochs, batch_size: batchSize, learning_rate_multiplier: learningRateMultiplier };
}

/** OpenAI's event object. */
export function toWireEvent(jobId: string, { id, level, type, message, data, createdAtMs }: StoredWorkEvent) {
  return {
    id: `${eventPrefix(jobId)}${id}`,
    object: "fine_tuning.job.event",
    created_at: seconds(createdAtMs),
    level,
    message,
    data: data ?? {},
    type,
  };
}

/** What the id of each event of a job begins with; its number follows. */
export const eventPrefix = (jobId: string) => `${jobId.replace("ftjob-", "ftevent-")}-`;

/** The model that came of a job, as the one checkpoint of it that is served; `measured` is what its step came to. */
export function toWireCheckpoint(job: StoredTuningJob, step: number, measured: Readonly<Record<string, unknown>>) {
  const { total_steps: _total, ...metrics } = measured;
  return {
    id: job.id.replace("ftjob-", "ftckpt-"),
    object: "fine_tuning.job.checkpoint",
    created_at: seconds(job.finishedAtMs),
    fine_tuned_model_checkpoint: job.fineTunedModel,
    fine_tuning_job_id: job.id,
    metrics: { ...metrics, step },
    step_number: step,
  };
}
