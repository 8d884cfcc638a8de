// Owns when the figures of a job become events of it: now and then while it runs, and once more before its end is told.
// It does not know what the figures are; the quality book does. A figure that cannot be had never holds a job up.
import type { Log } from "../../log.ts";
import type { QualityBook } from "../quality/quality-book.ts";
import { toWireQuality } from "../quality/quality-wire.ts";
import type { Database } from "../../store/database.ts";
import { addEvent } from "../store/event-store.ts";
import type { StoredJob } from "../store/records.ts";
import type { LiveHub } from "./live-hub.ts";

const intervalMs = 5000;

export class JobMetrics {
  readonly #database: Database;
  readonly #book: QualityBook;
  readonly #hub: LiveHub;
  readonly #log: Log;
  readonly #toldMs = new Map<string, number>();

  constructor(database: Database, book: QualityBook, hub: LiveHub, log: Log) {
    this.#database = database;
    this.#book = book;
    this.#hub = hub;
    this.#log = log;
  }

  /** A dialogue has ended. Tells the figures if they were not told lately. */
  async note(job: StoredJob): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - (this.#toldMs.get(job.id) ?? Number.NEGATIVE_INFINITY) < intervalMs) return;
    this.#toldMs.set(job.id, nowMs);
    await this.tell(job);
  }

  /** Tells the figures of now. */
  async tell(job: StoredJob): Promise<void> {
    try {
      const snapshot = await this.#book.measure(this.#database, job);
      await addEvent(this.#database, job.id, "metrics", { metrics: toWireQuality(job.id, snapshot) });
      this.#hub.tell(job.id, null);
    } catch (error) {
      this.#log.warn("a job's figures cannot be had", { job: job.id, error });
    }
  }

  /** Forgets a job that has ended. */
  forget(jobId: string): void {
    this.#toldMs.delete(jobId);
  }
}
