// Owns one part of one job, from the moment it was taken to the moment it is ended or put back: what its process says is written
// down under the lease, in order. It decides nothing about other jobs; take-tuning.ts does.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTuneEvent, type TuneEvent } from "../../training/tune/events.ts";
import type { TuneJob } from "../../training/tune/tune-job.ts";
import type { FileService } from "../files/file-service.ts";
import type { Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import { addEvent } from "../work/event-rows.ts";
import type { Claim } from "../work/lease-rows.ts";
import { trainingThreads } from "../work/training-threads.ts";
import { ProcessRun } from "../work/process-run.ts";
import type { WorkCommand } from "../work/work-process.ts";
import * as words from "./events.ts";
import { findTuningJob } from "./job-rows.ts";
import { commitStarted, commitStep, commitValidated, endTuningJob, releaseTuningJob } from "./commit-rows.ts";
import { type StoredTuningJob, type TuningError, type TuningProgress, tuningTables } from "./records.ts";
import { resultLines } from "./results-file.ts";
import type { CommandOf, TuningPart } from "./tune-command.ts";

export interface RunContext {
  readonly database: Database;
  readonly files: FileService;
  readonly log: Log;
  readonly commandOf: CommandOf;
  /** Where jobs keep what they need while they run. */
  readonly workRoot: string;
  /** Where models go. */
  readonly modelsFolder: string;
  readonly recipe: TuneJob["recipe"];
  /** The folder of a served model; null where it is not served from one. */
  readonly folderOf: (modelId: string) => Promise<string | null>;
  /** Serves a model that was put in place. */
  readonly load: (modelId: string) => Promise<void>;
  /** Takes it away again; nothing happens where it is not there. */
  readonly remove: (modelId: string) => Promise<void>;
}

const maxAttempts = 3;
const retryMs = 2000;
const brokenOff = "the process ended without a word";

export class TuningRun extends ProcessRun {
  readonly #context: RunContext;
  readonly #job: StoredTuningJob;
  readonly #part: TuningPart;
  #bestStep: number | null = null;
  #progress: TuningProgress;
  /** The last that was said of how it ends. */
  #last: Extract<TuneEvent, { event: "invalid" | "validated" | "registered" | "failed" | "interrupted" }> | null = null;

  constructor(context: RunContext, job: StoredTuningJob, claim: Claim, part: TuningPart, giveBack: () => void) {
    super(claim, giveBack);
    this.#context = context;
    this.#job = job;
    this.#part = part;
    const { model, step, steps, trainLoss, validLoss } = job;
    this.#progress = { model, step, steps, trainLoss, validLoss };
  }

  get progress(): TuningProgress {
    return this.#progress;
  }

  get #folder(): string {
    return workFolderOf(this.#context.workRoot, this.#job.id);
  }

  protected async describe(): Promise<WorkCommand> {
    await mkdir(this.#folder, { recursive: true });
    const file = join(this.#folder, `${this.#part}.json`);
    await writeFile(file, JSON.stringify(await this.#jobFile(this.#folder)));
    return this.#context.commandOf(this.#part, file);
  }

  protected async hear(line: string): Promise<void> {
    const event = parseTuneEvent(line);
    if (event !== null) await this.#take(event);
  }

  async #jobFile(workFolder: string): Promise<TuneJob> {
    const { files, folderOf, modelsFolder, recipe } = this.#context;
    const { id, model, fineTunedModel, trainingFile, validationFile, seed, plan, hyperparameters, createdAtMs } =
      this.#job;
    const modelFolder = await folderOf(model);
    if (modelFolder === null) throw new Error(`The model ${model} is not served from a folder any more.`);
    return {
      job: id,
      id: fineTunedModel,
      role: plan.role,
      modelFolder,
      baseModel: model,
      trainingFile: files.folder.path(trainingFile),
      validationFile: validationFile === null ? null : files.folder.path(validationFile),
      workFolder,
      outFolder: modelsFolder,
      createdAt: new Date(createdAtMs).toISOString(),
      source: `Fine-tuned from ${model} by ${id}`,
      recipe,
      threads: trainingThreads(),
      seed,
      lora: plan.lora,
      ...(hyperparameters ?? plan.hyperparameters),
    };
  }

  async #take(event: TuneEvent): Promise<void> {
    const { database } = this.#context;
    switch (event.event) {
      case "start": {
        const tokens = Math.round(event.train_tokens * (this.#job.hyperparameters?.epochs ?? 1));
        const words_ = event.step === 0 ? words.started() : words.resumedAt(event.step);
        await commitStarted(database, this.claim, event.steps, tokens, words_);
        return;
      }
      case "step": {
        const { step, steps, loss, heldout_loss: validLoss = null, eta_s: etaS } = event;
        const metrics = words.stepMetrics(step, steps, loss, validLoss);
        const remainingMs = etaS === undefined ? null : etaS * 1000;
        const before = this.#progress.validLoss;
        this.#progress = { model: this.#job.model, step, steps, trainLoss: loss, validLoss: validLoss ?? before };
        await commitStep(database, this.claim, { step, steps, trainLoss: loss, validLoss, remainingMs }, metrics);
        return;
      }
      case "done":
        this.#bestStep = event.best_step ?? event.steps;
        return;
      case "invalid":
      case "validated":
      case "registered":
      case "failed":
      case "interrupted":
        this.#last = event;
        return;
      case "checkpoint":
      case "error":
      default:
    }
  }

  protected async settle(complaints: readonly string[]): Promise<void> {
    const folder = this.#folder;
    const last = this.#last;
    if (this.stopReason === "cancelled") return this.#leave(folder);
    if (this.stopReason === "lost") return;
    if (last?.event === "invalid") return this.#fail(invalidFile(last), folder);
    if (last?.event === "validated") return this.#commitValidated(last);
    if (last?.event === "registered") return this.#succeed(folder);
    if (this.stopReason !== null) return this.#putBack(0, true);
    if (last?.event === "failed") {
      return this.#fail({ code: "training_failed", message: last.message, param: null }, folder);
    }
    return this.#retry(complaints.at(-1) ?? brokenOff, folder);
  }

  async #commitValidated(event: Extract<TuneEvent, { event: "validated" }>): Promise<void> {
    const {
      epochs,
      batch_size: batchSize,
      learning_rate_multiplier: learningRateMultiplier,
      too_long: tooLong,
    } = event;
    const events = [...(tooLong > 0 ? [words.tooLong(tooLong)] : []), words.validated()];
    await commitValidated(this.#context.database, this.claim, { epochs, batchSize, learningRateMultiplier }, events);
  }

  async #succeed(folder: string): Promise<void> {
    const { database, files, load } = this.#context;
    const { id, fineTunedModel } = this.#job;
    try {
      await load(fineTunedModel);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `The fine-tuned model cannot be served: ${reason}`;
      await this.#fail({ code: "model_not_loaded", message, param: null }, folder);
      return;
    }
    const results = await files.prepare("fine-tune-results", "step_metrics.csv", resultLines(database, id));
    const isEnded = await endTuningJob(database, this.claim, {
      status: "succeeded",
      error: null,
      resultFile: results.file,
      bestStep: this.#bestStep,
      events: [words.modelCreated(fineTunedModel), words.succeeded()],
    });
    if (isEnded) return removeWork(folder);
    await results.received.discard();
    const { status } = (await findTuningJob(database, id)) ?? { status: "cancelled" };
    if (status === "cancelled") await this.#leave(folder);
  }

  /** A cancelled job leaves nothing. */
  async #leave(folder: string): Promise<void> {
    await this.#context.remove(this.#job.fineTunedModel);
    await removeWork(folder);
  }

  async #fail(error: TuningError, folder: string): Promise<void> {
    const end = {
      status: "failed",
      error,
      resultFile: null,
      bestStep: null,
      events: [words.failed(error.message)],
    } as const;
    if (await endTuningJob(this.#context.database, this.claim, end)) await removeWork(folder);
  }

  async #retry(reason: string, folder: string): Promise<void> {
    const { database, log } = this.#context;
    log.warn("a fine-tuning broke off", { job: this.#job.id, reason, attempts: this.claim.attempts });
    if (this.claim.attempts >= maxAttempts) {
      const message = `The training broke off ${maxAttempts} times in a row: ${reason}`;
      await this.#fail({ code: "training_failed", message, param: null }, folder);
      return;
    }
    await addEvent(database, tuningTables, this.#job.id, words.brokenOff(reason));
    await this.#putBack(retryMs, false);
  }

  #putBack(delayMs: number, isNoAttempt: boolean): Promise<void> {
    return releaseTuningJob(this.#context.database, this.claim, { delayMs, isNoAttempt });
  }
}

/** What a job keeps while it runs. */
export const workFolderOf = (workRoot: string, jobId: string) => join(workRoot, jobId);

/** A cancelled job's, say; one that is not there is no news. */
export async function removeWork(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

function invalidFile({ file, problems, count }: Extract<TuneEvent, { event: "invalid" }>): TuningError {
  const told = problems.map(({ line, reason }) => `Line ${line}: ${reason.replace(/\.$/, "")}.`).join(" ");
  const more = count > problems.length ? ` And ${count - problems.length} more.` : "";
  return {
    code: `invalid_${file}_file`,
    message: `The job failed due to an invalid ${file} file. ${told}${more}`,
    param: `${file}_file`,
  };
}
