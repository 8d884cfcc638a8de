// Owns the life of fine-tuning jobs in this process: the two workers, started when the store is first needed, and what is asked of
// jobs. One for each server. It knows no HTTP beyond the errors that a client is told.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { FileService } from "../files/file-service.ts";
import type { Log } from "../log.ts";
import type { ModelCatalog } from "../model-catalog.ts";
import { tunedModelsFolder } from "../model-folders.ts";
import { ApiError, excerpt } from "../openai/error.ts";
import type { Database } from "../store/database.ts";
import { Opening } from "../store/opening.ts";
import type { Store } from "../store/store.ts";
import type { DeviceTurn } from "../work/device-turn.ts";
import { listEvents, type NewWorkEvent, type StoredWorkEvent } from "../work/event-rows.ts";
import { renewLease, voidLeases } from "../work/lease-rows.ts";
import { Worker } from "../work/worker.ts";
import * as words from "./events.ts";
import {
  countTuningJobs,
  type FileObstacle,
  findTuningJob,
  findTuningOf,
  insertTuningJob,
  listTuningJobs,
  metricsAt,
  moveTuningJob,
  type TuningPage,
} from "./job-rows.ts";
import { planTuning } from "./plan-tuning.ts";
import {
  type StoredTuningJob,
  type TuningFigures,
  type TuningProgress,
  type TuningStatus,
  tuningTables,
} from "./records.ts";
import { TakeTuning } from "./take-tuning.ts";
import { type CommandOf, tuneCommand } from "./tune-command.ts";
import { removeWork, type RunContext, type TuningRun, workFolderOf } from "./tuning-run.ts";
import type { TuningBody } from "./tuning-schema.ts";
import { eventPrefix, toWireCheckpoint } from "./wire.ts";

export interface TuningServiceOptions {
  readonly catalog: ModelCatalog;
  readonly config: Pick<Config, "dataFolder" | "leaseS" | "tuningRecipe">;
  readonly files: FileService;
  readonly log: Log;
  readonly store: Store;
  readonly turn: DeviceTurn;
  /** How a part of a job is run; another only in tests. */
  readonly commandOf?: CommandOf;
}

interface Opened {
  readonly database: Database;
  readonly workers: readonly Worker<TuningRun>[];
}

export class TuningService implements TuningFigures {
  readonly #options: TuningServiceOptions;
  readonly #workRoot: string;
  readonly #opening = new Opening(() => this.#open());
  #trainer: Worker<TuningRun> | null = null;
  #isDraining = false;

  /** Opens nothing yet. */
  constructor(options: TuningServiceOptions) {
    this.#options = options;
    this.#workRoot = join(options.config.dataFolder, "tuning");
  }

  /** Goes on with what an earlier process left, if there is a store. Throws StoreError. */
  async start(): Promise<void> {
    if (await this.#options.store.exists()) await this.#opening.get();
  }

  /** Throws ApiError. */
  async create(body: TuningBody): Promise<StoredTuningJob> {
    const job = await planTuning(body, this.#options.catalog, async (id) => (await this.#folderOf(id)) !== null);
    const { database, workers } = await this.#openForClient();
    const { trainingFile, validationFile } = job;
    const obstacle = await insertTuningJob(
      database,
      job,
      [
        { id: trainingFile, param: "training_file" },
        ...(validationFile === null ? [] : [{ id: validationFile, param: "validation_file" } as const]),
      ],
      [
        words.created(job.id),
        words.validating(trainingFile, "training"),
        ...(validationFile === null ? [] : [words.validating(validationFile, "validation")]),
      ],
    );
    if (obstacle !== null) throw unusableFile(obstacle);
    wakeAll(workers);
    return this.retrieve(job.id);
  }

  /** Throws ApiError 404. */
  async retrieve(id: string): Promise<StoredTuningJob> {
    const { database } = await this.#openForClient();
    // Other characters are in no id, and not all of them can be asked for.
    const job = /^[\w-]+$/.test(id) ? await findTuningJob(database, id) : null;
    if (job !== null) return job;
    const message = `Could not find fine tune: ${excerpt(id)}`;
    throw new ApiError(404, message, { param: "fine_tune_id", code: "fine_tune_not_found" });
  }

  async list(page: TuningPage): Promise<readonly StoredTuningJob[]> {
    if (page.after !== null) await this.retrieve(page.after);
    return listTuningJobs((await this.#openForClient()).database, page);
  }

  /** Ends it for good; what it had made is removed. */
  async cancel(id: string): Promise<StoredTuningJob> {
    const open: readonly TuningStatus[] = ["validating_files", "queued", "running", "paused"];
    const job = await this.#move(id, open, "cancelled", words.cancelled());
    // Who works at it here removes what there is when its process has ended.
    if (!(await this.#tell(id, "cancelled"))) {
      await removeWork(workFolderOf(this.#workRoot, id));
      await this.#remove(job.fineTunedModel);
    }
    return job;
  }

  /** Lets it write a checkpoint and wait. */
  async pause(id: string): Promise<StoredTuningJob> {
    const job = await this.#move(id, ["validating_files", "queued", "running"], "paused", words.paused());
    await this.#tell(id, "paused");
    return job;
  }

  async resume(id: string): Promise<StoredTuningJob> {
    const job = await this.#move(id, ["paused"], "resumed", words.resumed());
    await this.#tell(id, job.status);
    return job;
  }

  /** Newest first, those before event `after`. Throws ApiError. */
  async events(id: string, limit: number, after: string | undefined): Promise<readonly StoredWorkEvent[]> {
    await this.retrieve(id);
    const prefix = eventPrefix(id);
    const number = after?.startsWith(prefix) === true ? after.slice(prefix.length) : after;
    if (number !== undefined && !/^\d{1,15}$/.test(number)) {
      const message = `Invalid 'after': '${excerpt(after ?? "")}' is no event of this job.`;
      throw new ApiError(400, message, { param: "after", code: "invalid_value" });
    }
    const { database } = await this.#openForClient();
    return listEvents(database, tuningTables, id, { limit, before: number === undefined ? null : Number(number) });
  }

  /** The model that came of the job, as the one checkpoint that is served; none before. */
  async checkpoints(id: string) {
    const job = await this.retrieve(id);
    if (job.status !== "succeeded") return [];
    const step = job.bestStep ?? job.step;
    return [toWireCheckpoint(job, step, await metricsAt((await this.#openForClient()).database, id, step))];
  }

  /** A job that still needs the model, as its base or as what it has just made; null when none does. */
  async findTuningOf(modelId: string): Promise<string | null> {
    if (!(await this.#options.store.exists())) return null;
    return findTuningOf((await this.#openForClient()).database, modelId);
  }

  async counts(): Promise<ReadonlyMap<TuningStatus, number>> {
    try {
      const opened = await this.#opening.current();
      return opened === null ? new Map() : await countTuningJobs(opened.database);
    } catch (error) {
      this.#options.log.warn("fine-tuning jobs could not be counted", { error });
      return new Map();
    }
  }

  training(): TuningProgress | null {
    return this.#trainer?.work?.progress ?? null;
  }

  /** Lets what is trained write a checkpoint until `stop` says otherwise; it goes on at the next start, or elsewhere. */
  async drain(stop: AbortSignal): Promise<void> {
    this.#isDraining = true;
    const opened = await this.#opening.current();
    await Promise.all((opened?.workers ?? []).map((worker) => worker.drain(stop)));
  }

  async #move(
    id: string,
    from: readonly TuningStatus[],
    to: "cancelled" | "paused" | "resumed",
    event: NewWorkEvent,
  ): Promise<StoredTuningJob> {
    const { status } = await this.retrieve(id);
    const { database } = await this.#openForClient();
    if (status !== to && !(await moveTuningJob(database, id, from, to, event))) {
      const job = await this.retrieve(id);
      const message = `The fine-tuning job '${id}' is ${job.status} and cannot be ${to}.`;
      throw new ApiError(400, message, { code: "job_status" });
    }
    return this.retrieve(id);
  }

  /** Whether a worker here has it. */
  async #tell(id: string, status: TuningStatus): Promise<boolean> {
    const { workers } = await this.#openForClient();
    return workers.map((worker) => worker.tell(id, status)).includes(true);
  }

  #openForClient(): Promise<Opened> {
    return this.#options.store.forClient(this.#opening.get());
  }

  async #open(): Promise<Opened> {
    const { config, files, log, store, turn, commandOf = tuneCommand } = this.#options;
    const database = await store.open();
    // Nobody else can hold one: whoever did is gone.
    if (database.kind === "pglite") await voidLeases(database, tuningTables);
    const context: RunContext = {
      database,
      files,
      log,
      commandOf,
      workRoot: this.#workRoot,
      modelsFolder: tunedModelsFolder(config.dataFolder),
      recipe: config.tuningRecipe,
      folderOf: (id) => this.#folderOf(id),
      load: (id) => this.#load(id),
      remove: (id) => this.#remove(id),
    };
    const owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
    const leaseMs = config.leaseS * 1000;
    const obstacleOf = (job: StoredTuningJob) => this.#obstacleOf(job);
    const taking = { owner, leaseMs, context, log, database, turn, obstacleOf };
    const workers: Worker<TuningRun>[] = [];
    for (const part of ["prepare", "train"] as const) {
      const jobs = new TakeTuning(taking, part);
      const worker = new Worker<TuningRun>({
        kind: "fine-tuning",
        leaseMs,
        log,
        take: () => jobs.take(),
        renew: ({ claim }) => renewLease(database, tuningTables, claim, leaseMs),
        onLeft: () => wakeAll(workers),
      });
      workers.push(worker);
      turn.onFree(() => worker.wake());
    }
    this.#trainer = workers[1] ?? null;
    if (!this.#isDraining) for (const worker of workers) worker.start();
    return { database, workers };
  }

  async #obstacleOf({ model, plan, trainingFile, validationFile }: StoredTuningJob): Promise<string | null> {
    const { catalog, files } = this.#options;
    const served = catalog.get(model)?.info;
    if (served === undefined || (await this.#folderOf(model)) === null)
      return `the model '${model}' is not served here.`;
    if (served.modelHash !== plan.modelHash)
      return `the model '${model}' is another one than when the job was created.`;
    for (const file of [trainingFile, validationFile]) {
      if (file !== null && !(await files.folder.has(file)))
        return `the content of '${file}' is not in this data folder.`;
    }
    return null;
  }

  async #folderOf(id: string): Promise<string | null> {
    return (await this.#options.catalog.loader?.folderOf(id)) ?? null;
  }

  async #load(id: string): Promise<void> {
    await this.#options.catalog.loader?.load(id, AbortSignal.timeout(loadMs));
  }

  async #remove(id: string): Promise<void> {
    await this.#options.catalog.loader?.remove(id);
  }
}

function wakeAll(workers: readonly Worker<TuningRun>[]): void {
  for (const worker of workers) worker.wake();
}

/** However large the model is, it is opened in less. */
const loadMs = 600_000;

function unusableFile({ id, param, purpose }: FileObstacle): ApiError {
  if (purpose === null) {
    return new ApiError(400, `invalid ${param}: ${excerpt(id)}`, { param, code: "file_not_found" });
  }
  const message = `The file '${id}' has the purpose '${purpose}'; '${param}' must be one with the purpose 'fine-tune'.`;
  return new ApiError(400, message, { param, code: "invalid_file_purpose" });
}
