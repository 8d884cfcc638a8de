// Owns the life of self-play jobs in this process: the runner, started when the store is first needed, and what is asked of it.
// One for each server. It knows no HTTP beyond the errors that a client is told.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Config } from "../../config.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import type { ModelCatalog } from "../../model-catalog.ts";
import { ApiError, excerpt } from "../../openai/error.ts";
import { QualityBook } from "../quality/quality-book.ts";
import { invalid } from "../request.ts";
import { loadSeeds } from "../seed-sets/load-seeds.ts";
import { randomRootSeed } from "../seeds.ts";
import type { Database } from "../../store/database.ts";
import { Opening } from "../../store/opening.ts";
import type { Store } from "../../store/store.ts";
import {
  deleteJob,
  findJob,
  findJobPlaying,
  insertJob,
  isEnded,
  moveJob,
  cancelIdleDialogues,
} from "../store/job-store.ts";
import { voidLeases } from "../store/lease-store.ts";
import type { JobStatus, StoredJob } from "../store/records.ts";
import { JobMetrics } from "./job-metrics.ts";
import { planJob, planOf } from "./job-plan.ts";
import type { JobBody } from "./job-schema.ts";
import { LiveHub } from "./live-hub.ts";
import { Runner } from "./runner.ts";
import { TokenRelay } from "./token-relay.ts";
import { readVersions } from "./versions.ts";

export interface JobServiceOptions {
  readonly catalog: ModelCatalog;
  readonly config: Pick<Config, "dataFolder" | "leaseS" | "seedFolder" | "slotsPerModel">;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: Store;
}

interface Opened {
  readonly database: Database;
  readonly runner: Runner;
  /** null where no other gateway can be. */
  readonly relay: TokenRelay | null;
}

export class JobService {
  readonly hub = new LiveHub();
  /** The figures of jobs. */
  readonly quality: QualityBook;
  readonly #options: JobServiceOptions;
  readonly #draining = new AbortController();
  readonly #opening = new Opening(() => this.#open());

  /** Opens nothing yet. */
  constructor(options: JobServiceOptions) {
    this.#options = options;
    this.quality = new QualityBook(options.catalog, options.config.dataFolder);
  }

  /** Aborts when the server begins to drain: streams of events end then, and are taken up elsewhere. */
  get drainSignal(): AbortSignal {
    return this.#draining.signal;
  }

  /** Goes on with what an earlier process left, if there is a store. Throws StoreError. */
  async start(): Promise<void> {
    if (await this.#options.store.exists()) await this.#opening.get();
  }

  /** The store; opened now if it was not yet. Throws ApiError when it cannot be. */
  async database(): Promise<Database> {
    return (await this.#openForClient()).database;
  }

  async create(body: JobBody): Promise<StoredJob> {
    const { catalog, config } = this.#options;
    const id = `job_${randomUUID().replaceAll("-", "")}`;
    const seed = body.seed ?? randomRootSeed();
    const { seeds } = body;
    const loaded = seeds === undefined || seeds === null ? null : await loadSeeds(seeds, config.seedFolder, seed);
    const planned = planJob({ ...body, seed }, catalog, id, loaded);
    if (planned.budgetMoney !== null && !this.#hasPrices(planned)) {
      throw invalid("budget.money", "none of the job's models has a price, so that it would never be spent.");
    }
    const { database, runner } = await this.#openForClient();
    const job = await insertJob(database, planned);
    runner.wake();
    return job;
  }

  /** Throws ApiError 404. */
  async retrieve(id: string): Promise<StoredJob> {
    const job = await findJob(await this.database(), id);
    if (job !== null) return job;
    throw new ApiError(404, `No such job: '${excerpt(id)}'.`, { param: "id", code: "job_not_found" });
  }

  /** A queued or running job in which a model plays; null when there is none. Makes no store where there is none yet. */
  async findPlaying(modelId: string): Promise<string | null> {
    if (!(await this.#options.store.exists())) return null;
    return findJobPlaying(await this.database(), modelId);
  }

  /** Ends it; what runs ends at its next step, what was finished stays. */
  async cancel(id: string): Promise<StoredJob> {
    const job = await this.#move(id, ["queued", "running", "paused"], "cancelled");
    await cancelIdleDialogues(await this.database(), id, "cancelled");
    return job.status === "cancelled" ? this.retrieve(id) : job;
  }

  /** Lets the turns in play come to their end and begins no others. */
  pause(id: string): Promise<StoredJob> {
    return this.#move(id, ["queued", "running"], "paused");
  }

  resume(id: string): Promise<StoredJob> {
    return this.#move(id, ["paused"], "running");
  }

  /** Removes a job that does not run, with its dialogues. */
  async delete(id: string): Promise<void> {
    const { status } = await this.retrieve(id);
    if (!isEnded(status) && status !== "paused") {
      throw new ApiError(409, `The job '${excerpt(id)}' is ${status}: cancel or pause it before it is deleted.`, {
        param: "id",
        code: "job_not_ended",
      });
    }
    const { database, runner } = await this.#openForClient();
    await deleteJob(database, id);
    runner.tell(id, "deleted");
    this.hub.tell(id, null);
  }

  /** Lets turns in play finish until `stop` says otherwise. */
  async drain(stop: AbortSignal): Promise<void> {
    this.#draining.abort();
    const opened = await this.#opening.current();
    if (opened === undefined || opened === null) return;
    await opened.runner.drain(stop);
  }

  /** Nothing may be asked any more; the store is closed by its owner. */
  async close(): Promise<void> {
    const opened = await this.#opening.current();
    await opened?.relay?.close();
  }

  #hasPrices(job: Pick<StoredJob, "plan">): boolean {
    const { upstreams } = this.#options.catalog;
    const nothing = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
    const ids = Object.values(planOf(job).models).map(({ id }) => id);
    return ids.some((id) => (upstreams?.costOf(id, nothing) ?? null) !== null);
  }

  async #move(id: string, from: readonly JobStatus[], to: JobStatus): Promise<StoredJob> {
    const before = await this.retrieve(id);
    const { database, runner } = await this.#openForClient();
    if (before.status !== to && !(await moveJob(database, id, from, to))) {
      const { status } = await this.retrieve(id);
      const verb = { cancelled: "cancelled", paused: "paused", running: "resumed" }[to as "paused"];
      throw new ApiError(409, `The job '${excerpt(id)}' is ${status} and cannot be ${verb}.`, {
        param: "id",
        code: "job_status",
      });
    }
    runner.tell(id, to);
    this.hub.tell(id, null);
    return this.retrieve(id);
  }

  #openForClient(): Promise<Opened> {
    return this.#options.store.forClient(this.#opening.get());
  }

  async #open(): Promise<Opened> {
    const { catalog, config, log, metrics, store } = this.#options;
    const database = await store.open();
    // Nobody else can hold one: whoever did is gone.
    if (database.kind === "pglite") await voidLeases(database);
    const owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
    const relay = this.#openRelay(database, owner);
    const runner = new Runner({
      catalog,
      log,
      database,
      hub: this.hub,
      leaseMs: config.leaseS * 1000,
      owner,
      versions: readVersions(),
      slotsPerModel: config.slotsPerModel,
      priceOf: (modelId, usage) => catalog.upstreams?.costOf(modelId, usage)?.amount ?? 0,
      metrics,
      figures: new JobMetrics(database, this.quality, this.hub, log),
    });
    if (!this.#draining.signal.aborted) runner.start();
    return { database, runner, relay };
  }

  #openRelay({ channel }: Database, gateway: string): TokenRelay | null {
    if (channel === null) return null;
    const { log } = this.#options;
    const relay = new TokenRelay({ channel, gateway, log, deliver: (jobId, token) => this.hub.deliver(jobId, token) });
    this.hub.attach(relay);
    return relay;
  }
}
