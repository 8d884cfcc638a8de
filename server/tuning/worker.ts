// Owns which jobs this gateway works at: one at a time, the oldest first, of those that it has the model and the files for. It keeps
// the lease alive and passes on what clients do to the job. It does not know what the work is (tuning-run.ts).
import type { Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import { addEvent } from "./event-rows.ts";
import * as words from "./events.ts";
import { openTuningJobs } from "./job-rows.ts";
import { claimTuningJob, renewTuningLease } from "./lease-rows.ts";
import type { StoredTuningJob, TuningProgress, TuningStatus } from "./records.ts";
import type { TuningPart } from "./tuning-process.ts";
import { type RunContext, type StopReason, TuningRun } from "./tuning-run.ts";

export interface WorkerOptions {
  readonly part: TuningPart;
  readonly owner: string;
  readonly leaseMs: number;
  readonly context: RunContext;
  readonly log: Log;
  readonly database: Database;
  /** Why this gateway cannot work at a job; null when it can. */
  readonly obstacleOf: (job: StoredTuningJob) => Promise<string | null>;
  /** Called when a job was left: there may be something for others. */
  readonly onLeft: () => void;
}

const statusesOf: Readonly<Record<TuningPart, readonly TuningStatus[]>> = {
  prepare: ["validating_files"],
  train: ["queued", "running"],
};

/** Looks for work of others this often when nobody here says that there is some. */
const idlePollMs = 1000;
/** A process that was asked to end and does not is ended. */
const patienceMs = 30_000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #obstacles = new Map<string, string>();
  #run: TuningRun | null = null;
  #isDraining = false;
  #wake: () => void = () => {};
  #loop: Promise<void> | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** How far the job is that is worked at; null when none is. */
  get progress(): TuningProgress | null {
    return this.#run?.progress ?? null;
  }

  /** Begins to take jobs. */
  start(): void {
    this.#loop ??= this.#takeAll();
    this.#heartbeat ??= setInterval(() => void this.#renew(), this.#options.leaseMs / 3).unref();
  }

  /** There may be something to take. */
  wake(): void {
    this.#wake();
  }

  /** Tells the job that is worked at here what has become of it. Whether it is that job. */
  tell(jobId: string, status: TuningStatus): boolean {
    this.#wake();
    if (this.#run?.claim.jobId !== jobId) return false;
    this.#steer(this.#run, status);
    return true;
  }

  /** Takes nothing more, and lets the process write a checkpoint until `stop` says otherwise. */
  async drain(stop: AbortSignal): Promise<void> {
    this.#isDraining = true;
    this.#wake();
    const kill = () => this.#run?.kill();
    this.#run?.stop("draining");
    if (stop.aborted) kill();
    stop.addEventListener("abort", kill, { once: true });
    await this.#loop;
    stop.removeEventListener("abort", kill);
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
  }

  async #takeAll(): Promise<void> {
    while (!this.#isDraining) {
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      try {
        if (await this.#takeOne()) continue;
      } catch (error) {
        this.#options.log.error("a fine-tuning cannot go on", { error });
      }
      const timer = setTimeout(woken.resolve, idlePollMs);
      await woken.promise;
      clearTimeout(timer);
    }
  }

  /** Whether a job was worked at. */
  async #takeOne(): Promise<boolean> {
    const { database, part, owner, leaseMs, context } = this.#options;
    const statuses = statusesOf[part];
    const open = await openTuningJobs(database, statuses);
    const able = [];
    for (const job of open) if (await this.#isAble(job)) able.push(job);
    const jobs = able.map(({ id }) => id);
    const claim = jobs.length === 0 ? null : await claimTuningJob(database, { owner, leaseMs, jobs, statuses });
    const job = able.find(({ id }) => id === claim?.jobId);
    if (claim === null || job === undefined) return false;
    this.#run = new TuningRun(context, job, claim, part);
    if (this.#isDraining) this.#run.stop("draining");
    try {
      await this.#run.run();
    } finally {
      this.#run = null;
      this.#options.onLeft();
    }
    return true;
  }

  async #isAble(job: StoredTuningJob): Promise<boolean> {
    const { obstacleOf, log, database } = this.#options;
    const obstacle = await obstacleOf(job);
    if (obstacle === null) {
      this.#obstacles.delete(job.id);
      return true;
    }
    if (this.#obstacles.get(job.id) !== obstacle) {
      log.warn("a fine-tuning waits for another gateway", { job: job.id, obstacle });
      await addEvent(database, job.id, words.waits(obstacle));
    }
    this.#obstacles.set(job.id, obstacle);
    return false;
  }

  async #renew(): Promise<void> {
    const { database, leaseMs, log } = this.#options;
    const run = this.#run;
    if (run === null) return;
    try {
      const status = await renewTuningLease(database, run.claim, leaseMs);
      if (this.#run === run) this.#steer(run, status);
    } catch (error) {
      // Everything is written under the lease anyway: a gateway cut off too long finds that out there.
      log.warn("the lease of a fine-tuning could not be renewed", { error });
    }
  }

  /** null: the lease is not held any more, or the job has just ended. */
  #steer(run: TuningRun, status: TuningStatus | null): void {
    const reason: StopReason | null =
      status === null ? "lost" : status === "cancelled" || status === "paused" ? status : null;
    if (reason === null) return;
    run.stop(reason);
    setTimeout(() => {
      if (this.#run === run) run.kill();
    }, patienceMs).unref();
  }
}
