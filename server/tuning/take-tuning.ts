// Owns which jobs this gateway works at: the oldest of those that it has the model and the files for; of trainings, only while nobody
// else trains on its device. It does not know what the work is (tuning-run.ts).
import type { Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import type { DeviceTurn } from "../work/device-turn.ts";
import { addEvent } from "../work/event-rows.ts";
import { claimJob } from "../work/lease-rows.ts";
import * as words from "./events.ts";
import { openTuningJobs } from "./job-rows.ts";
import { type StoredTuningJob, type TuningStatus, tuningTables } from "./records.ts";
import type { TuningPart } from "./tune-command.ts";
import { type RunContext, TuningRun } from "./tuning-run.ts";

export interface TakeOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly context: RunContext;
  readonly log: Log;
  readonly database: Database;
  readonly turn: DeviceTurn;
  /** Why this gateway cannot work at a job; null when it can. */
  readonly obstacleOf: (job: StoredTuningJob) => Promise<string | null>;
}

const statusesOf: Readonly<Record<TuningPart, readonly TuningStatus[]>> = {
  prepare: ["validating_files"],
  train: ["queued", "running"],
};

export class TakeTuning {
  readonly #options: TakeOptions;
  readonly #part: TuningPart;
  readonly #obstacles = new Map<string, string>();

  constructor(options: TakeOptions, part: TuningPart) {
    this.#options = options;
    this.#part = part;
  }

  /** Takes a job's part; null when there is none for this gateway. */
  async take(): Promise<TuningRun | null> {
    // Files are looked through at once, also while another job is being trained.
    return this.#part === "train"
      ? await this.#options.turn.take((giveBack) => this.#claim(giveBack))
      : await this.#claim(() => {});
  }

  async #claim(giveBack: () => void): Promise<TuningRun | null> {
    const { database, owner, leaseMs, context } = this.#options;
    const statuses = statusesOf[this.#part];
    const able = [];
    for (const job of await openTuningJobs(database, statuses)) if (await this.#isAble(job)) able.push(job);
    const jobs = able.map(({ id }) => id);
    const claim = jobs.length === 0 ? null : await claimJob(database, tuningTables, { owner, leaseMs, jobs, statuses });
    const job = able.find(({ id }) => id === claim?.jobId);
    if (claim === null || job === undefined) return null;
    return new TuningRun(context, job, claim, this.#part, giveBack);
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
      await addEvent(database, tuningTables, job.id, words.waits(obstacle));
    }
    this.#obstacles.set(job.id, obstacle);
    return false;
  }
}
