// Owns which dialogues this gateway plays: takes them from the store while models have slots free, keeps their leases alive, passes
// on what is done to their jobs, and stops in good order. Dialogues never wait for each other.
// It does not know how one is played (dialogue-run.ts) or asked for (job-service.ts).
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import type { ModelCatalog } from "../../model-catalog.ts";
import { meterDialogue } from "../meter.ts";
import type { SeedItem } from "../simulators/simulator.ts";
import { cancelIdleDialogues, findJob, findOpenJobs, isEnded, moveJob } from "../store/job-store.ts";
import { claimDialogue, endDialogue, isPlayedOut, releaseDialogue, renewLeases } from "../store/lease-store.ts";
import { type JobStatus, type Lease, LeaseLostError, type StoredJob } from "../store/records.ts";
import { type RunContext, type RunnableDialogue, type RunResult, runDialogue } from "./dialogue-run.ts";
import type { JobMetrics } from "./job-metrics.ts";
import { obstacleOf, planOf, toRunnable } from "./job-plan.ts";
import { slotsNeeded, SlotBook } from "./slot-book.ts";

export interface RunnerOptions extends RunContext {
  readonly catalog: ModelCatalog;
  readonly log: Log;
  /** Dialogues of one model that keep a slot each. */
  readonly slotsPerModel: number;
  readonly metrics: Metrics;
  readonly figures: JobMetrics;
}

interface Running {
  readonly lease: Lease;
  readonly cancel: AbortController;
  readonly leave: AbortController;
  isPaused: boolean;
  readonly done: Promise<void>;
}

/** Looks for work of others this often when nobody here says that there is some. */
const idlePollMs = 1000;
const storeRetryMs = 1000;
/** A dialogue that ends its process each time must not do so for ever. */
const maxAttempts = 50;

export class Runner {
  readonly #options: RunnerOptions;
  readonly #slots: SlotBook;
  readonly #running = new Map<string, Running>();
  readonly #jobs = new Map<string, StoredJob>();
  readonly #obstacles = new Map<string, string>();
  #isDraining = false;
  #wake: () => void = () => {};
  #loop: Promise<void> | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#slots = new SlotBook(options.catalog, options.slotsPerModel);
  }

  /** Begins to take dialogues. */
  start(): void {
    this.#loop ??= this.#takeAll();
    this.#heartbeat ??= setInterval(() => void this.#renew(), this.#options.leaseMs / 3).unref();
  }

  /** There may be something to take. */
  wake(): void {
    this.#wake();
  }

  /** Tells the dialogues of a job in play here what has become of it. */
  tell(jobId: string, status: JobStatus | "deleted"): void {
    for (const running of this.#running.values()) {
      if (running.lease.jobId === jobId) this.#steer(running, status);
    }
    this.#wake();
  }

  /** Takes nothing more and lets every turn in play come to its end; their dialogues are left for later. */
  async drain(stop: AbortSignal): Promise<void> {
    this.#isDraining = true;
    this.#wake();
    const leaveAll = () => {
      for (const { leave } of this.#running.values()) leave.abort();
    };
    if (stop.aborted) leaveAll();
    stop.addEventListener("abort", leaveAll, { once: true });
    await this.#loop;
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    stop.removeEventListener("abort", leaveAll);
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
  }

  async #takeAll(): Promise<void> {
    while (!this.#isDraining) {
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      let waitMs = idlePollMs;
      try {
        if (await this.#takeOne()) continue;
      } catch (error) {
        this.#options.log.error("the store cannot be used", { error });
        waitMs = storeRetryMs;
      }
      const timer = setTimeout(woken.resolve, waitMs);
      await woken.promise;
      clearTimeout(timer);
    }
  }

  /** Whether a dialogue was begun. */
  async #takeOne(): Promise<boolean> {
    const { database, owner, leaseMs } = this.#options;
    const jobs = await this.#openJobs();
    const takeable = jobs.filter((job) => this.#hasRoom(job)).map(({ id }) => id);
    const claim = takeable.length === 0 ? null : await claimDialogue(database, { owner, leaseMs, jobs: takeable });
    if (claim === null) {
      for (const { id } of jobs) if (!this.#isPlaying(id)) await this.#finishIfPlayedOut(id);
      return false;
    }
    const job = this.#jobs.get(claim.jobId);
    if (job === undefined || this.#isDraining) {
      await releaseDialogue(database, claim);
      return false;
    }
    if (claim.attempts > maxAttempts) {
      const error = `It broke off ${maxAttempts} times without a single turn.`;
      const end = { stopReason: "error", stoppedBy: null, record: { seed: job.seed }, takenBack: [], error } as const;
      await endDialogue(database, claim, { ...end, status: "failed" });
      return true;
    }
    if (job.status === "queued" && (await moveJob(database, job.id, ["queued"], "running"))) {
      this.#options.hub.tell(job.id, null);
    }
    this.#begin(job, claim, claim.seedItem as SeedItem | null);
    return true;
  }

  /** Jobs that this gateway can play; those that ended are tidied up on the way. */
  async #openJobs(): Promise<StoredJob[]> {
    const { database, catalog, log, hub } = this.#options;
    const open: StoredJob[] = [];
    const listed = await findOpenJobs(database);
    for (const { id, status } of listed) {
      if (isEnded(status)) {
        const reason = status === "completed" ? "budget" : "cancelled";
        if ((await cancelIdleDialogues(database, id, reason)) > 0) hub.tell(id, null);
        continue;
      }
      let job = this.#jobs.get(id) ?? null;
      if (job?.status !== status) job = await findJob(database, id);
      if (job === null) continue;
      this.#jobs.set(id, job);
      const obstacle = obstacleOf(job, catalog);
      if (obstacle === null) open.push(job);
      else if (this.#obstacles.get(id) !== obstacle) log.warn("a job waits for another gateway", { job: id, obstacle });
      if (obstacle !== null) this.#obstacles.set(id, obstacle);
    }
    const ids = new Set(listed.map(({ id }) => id));
    for (const id of this.#jobs.keys()) if (!ids.has(id) && !this.#isPlaying(id)) this.#jobs.delete(id);
    return open;
  }

  #hasRoom(job: StoredJob): boolean {
    const inFlight = [...this.#running.values()].filter(({ lease }) => lease.jobId === job.id).length;
    if (job.concurrency !== null && inFlight >= job.concurrency) return false;
    return this.#slots.hasRoom(slotsNeeded(planOf(job)));
  }

  #begin(job: StoredJob, lease: Lease, seedItem: SeedItem | null): void {
    const giveBack = this.#slots.take(slotsNeeded(planOf(job)));
    const key = `${lease.jobId}/${lease.index}`;
    const ended = Promise.withResolvers<void>();
    const running: Running = {
      lease,
      cancel: new AbortController(),
      leave: new AbortController(),
      isPaused: false,
      done: ended.promise,
    };
    this.#running.set(key, running);
    void this.#play(job, running, seedItem)
      .catch((error: unknown) => this.#options.log.error("a dialogue broke off", { dialogue: key, error }))
      .finally(() => {
        this.#running.delete(key);
        giveBack();
        ended.resolve();
        this.#wake();
      });
  }

  async #play(job: StoredJob, running: Running, seedItem: SeedItem | null): Promise<void> {
    const { catalog, log, metrics } = this.#options;
    const { lease, cancel, leave } = running;
    try {
      const plain = toRunnable(job, lease.index, seedItem, catalog);
      const runnable: RunnableDialogue = {
        ...plain,
        play: (said, signal) => meterDialogue(plain.play(said, signal), plain.request, metrics, {}, () => {}),
      };
      const result = await runDialogue(lease, runnable, this.#options, {
        cancel: cancel.signal,
        leave: leave.signal,
        shouldYield: () => this.#isDraining || running.isPaused,
      });
      if (result.progress !== null) await this.#afterEnd(job.id, result.progress);
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error;
      log.warn("lease lost", { job: lease.jobId, dialogue: lease.index });
    }
  }

  async #afterEnd(jobId: string, { status, isSpent }: NonNullable<RunResult["progress"]>): Promise<void> {
    const { database, hub, figures } = this.#options;
    const job = this.#jobs.get(jobId);
    if (job !== undefined && !isSpent) await figures.note(job);
    if (status === "running" && isSpent && (await moveJob(database, jobId, ["running"], "completed"))) {
      await cancelIdleDialogues(database, jobId, "budget");
      hub.tell(jobId, null);
    } else if (status === "running") {
      await this.#finishIfPlayedOut(jobId);
    }
  }

  async #finishIfPlayedOut(jobId: string): Promise<void> {
    const { database, hub, figures } = this.#options;
    if (!(await isPlayedOut(database, jobId))) return;
    const job = await findJob(database, jobId);
    if (job === null || isEnded(job.status)) return;
    await figures.tell(job);
    figures.forget(jobId);
    const hasFailed = job.completed === 0 && job.failed > 0;
    const error = hasFailed ? "Every dialogue failed; each says why." : null;
    await moveJob(database, jobId, ["queued", "running"], hasFailed ? "failed" : "completed", error);
    hub.tell(jobId, null);
  }

  async #renew(): Promise<void> {
    const { database, leaseMs, log } = this.#options;
    const held = [...this.#running.entries()];
    if (held.length === 0) return;
    try {
      const statuses = await renewLeases(
        database,
        held.map(([, { lease }]) => lease),
        leaseMs,
      );
      for (const [key, running] of held) this.#steer(running, statuses.get(key) ?? null);
    } catch (error) {
      // Every turn is written under its lease anyway: a gateway cut off too long finds that out there.
      log.warn("leases could not be renewed", { error });
    }
  }

  /** null: the lease is not held any more, or its dialogue has just ended. */
  #steer(running: Running, status: JobStatus | "deleted" | null): void {
    if (status === "cancelled") running.cancel.abort();
    if (status === "deleted" || status === null) running.leave.abort();
    running.isPaused = status === "paused";
  }

  #isPlaying(jobId: string): boolean {
    return [...this.#running.values()].some(({ lease }) => lease.jobId === jobId);
  }
}
