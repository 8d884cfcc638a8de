// Owns the taking of long work from the store: one piece at a time, looked for when somebody says so and every so often. It keeps the
// lease alive and passes on what clients do to the piece. It knows neither which pieces there are nor what the work is.
import type { Log } from "../log.ts";

/** Why a piece of work is stopped from outside. */
export type StopReason = "cancelled" | "paused" | "draining" | "lost";

/** A piece of work that was taken: a job. */
export interface Work {
  readonly jobId: string;
  /** Resolves when nothing of it runs any more and what it came to is written. */
  run(): Promise<void>;
  /** Makes it write down how far it is and end, once. */
  stop(reason: StopReason): void;
  /** Ends its process now. */
  kill(): void;
}

export interface WorkerOptions<W extends Work> {
  /** In the log. */
  readonly kind: string;
  readonly leaseMs: number;
  readonly log: Log;
  /** Takes the next piece; null when there is none, or none for this gateway. */
  readonly take: () => Promise<W | null>;
  /** Makes its lease last from now. The status of the job, or null where the lease is held no more. */
  readonly renew: (work: W) => Promise<string | null>;
  /** Called when a piece was left: there may be something for others. */
  readonly onLeft: () => void;
}

/** Looks for work of others this often when nobody here says that there is some. */
const idlePollMs = 1000;
/** A process that was asked to end and does not is ended. */
const patienceMs = 30_000;

export class Worker<W extends Work> {
  readonly #options: WorkerOptions<W>;
  #work: W | null = null;
  #isDraining = false;
  #wake: () => void = () => {};
  #loop: Promise<void> | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(options: WorkerOptions<W>) {
    this.#options = options;
  }

  /** What is worked at; null when nothing is. */
  get work(): W | null {
    return this.#work;
  }

  /** Begins to take work. */
  start(): void {
    this.#loop ??= this.#takeAll();
    this.#heartbeat ??= setInterval(() => void this.#renew(), this.#options.leaseMs / 3).unref();
  }

  /** There may be something to take. */
  wake(): void {
    this.#wake();
  }

  /** Tells the job that is worked at here what has become of it. Whether it is that job. */
  tell(jobId: string, status: string): boolean {
    this.#wake();
    if (this.#work?.jobId !== jobId) return false;
    this.#steer(this.#work, status);
    return true;
  }

  /** Takes nothing more, and lets the process write down how far it is until `stop` says otherwise. */
  async drain(stop: AbortSignal): Promise<void> {
    this.#isDraining = true;
    this.#wake();
    const kill = () => this.#work?.kill();
    this.#work?.stop("draining");
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
        this.#options.log.error(`a ${this.#options.kind} cannot go on`, { error });
      }
      const timer = setTimeout(woken.resolve, idlePollMs);
      await woken.promise;
      clearTimeout(timer);
    }
  }

  /** Whether something was worked at. */
  async #takeOne(): Promise<boolean> {
    const { take, onLeft } = this.#options;
    const work = await take();
    if (work === null) return false;
    this.#work = work;
    if (this.#isDraining) work.stop("draining");
    try {
      await work.run();
    } finally {
      this.#work = null;
      onLeft();
    }
    return true;
  }

  async #renew(): Promise<void> {
    const { renew, log, kind } = this.#options;
    const work = this.#work;
    if (work === null) return;
    try {
      const status = await renew(work);
      if (this.#work === work) this.#steer(work, status);
    } catch (error) {
      // Everything is written under the lease anyway: a gateway cut off too long finds that out there.
      log.warn(`the lease of a ${kind} could not be renewed`, { error });
    }
  }

  /** null: the lease is not held any more, or the job has just ended. */
  #steer(work: W, status: string | null): void {
    const reason: StopReason | null =
      status === null ? "lost" : status === "cancelled" || status === "paused" ? status : null;
    if (reason === null) return;
    work.stop(reason);
    setTimeout(() => {
      if (this.#work === work) work.kill();
    }, patienceMs).unref();
  }
}
