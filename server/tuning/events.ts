// Owns the words of a fine-tuning job's events, which are those of OpenAI's where it has any. It stores nothing.
import type { NewWorkEvent } from "../work/event-rows.ts";

const message = (text: string, level: NewWorkEvent["level"] = "info"): NewWorkEvent => ({
  level,
  type: "message",
  message: text,
  data: null,
});

export const created = (id: string) => message(`Created fine-tuning job: ${id}`);
export const validating = (file: string, kind: "training" | "validation") =>
  message(`Validating ${kind} file: ${file}`);
export const validated = () => message("Files validated, moving job to queued state");
export const tooLong = (count: number) =>
  message(
    `${count} ${count === 1 ? "example is" : "examples are"} longer than the context window and left out`,
    "warn",
  );
export const started = () => message("Fine-tuning job started");
export const resumedAt = (step: number) => message(`Fine-tuning job goes on from step ${step}`);
export const cancelled = () => message("Fine-tuning job cancelled");
export const paused = () => message("Fine-tuning job paused");
export const resumed = () => message("Fine-tuning job resumed");
export const modelCreated = (id: string) => message(`New fine-tuned model created: ${id}`);
export const succeeded = () => message("The job has successfully completed");
export const failed = (reason: string) => message(reason, "error");
export const brokenOff = (reason: string) => message(`The training broke off and is taken up again: ${reason}`, "warn");

export const waits = (obstacle: string) => message(`The job waits for another gateway: ${obstacle}`, "warn");

/** One step. */
export function stepMetrics(step: number, steps: number, trainLoss: number, validLoss: number | null): NewWorkEvent {
  const held = validLoss === null ? "" : `, validation loss=${validLoss.toFixed(2)}`;
  const valid = validLoss === null ? {} : { valid_loss: validLoss, full_valid_loss: validLoss };
  return {
    level: "info",
    type: "metrics",
    message: `Step ${step}/${steps}: training loss=${trainLoss.toFixed(2)}${held}`,
    data: { step, total_steps: steps, train_loss: trainLoss, ...valid },
  };
}
