// Owns the life of loops in this process: the worker, started when the store is needed and the gateway can be asked, and what is asked of
// loops. One for each server. It knows no HTTP beyond the errors that a client is told.
import { randomUUID } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { FileService } from "../files/file-service.ts";
import type { Log } from "../log.ts";
import type { ModelCatalog } from "../model-catalog.ts";
import { tunedModelsFolder } from "../model-folders.ts";
import { ApiError, excerpt } from "../openai/error.ts";
import type { JobService } from "../selfplay/jobs/job-service.ts";
import type { Database } from "../store/database.ts";
import { Opening } from "../store/opening.ts";
import type { Store } from "../store/store.ts";
import type { DeviceTurn } from "../work/device-turn.ts";
import type { NewWorkEvent } from "../work/event-rows.ts";
import { renewLease, voidLeases } from "../work/lease-rows.ts";
import { trainingThreads } from "../work/training-threads.ts";
import { Worker } from "../work/worker.ts";
import * as words from "./events.ts";
import { type LoopCommandOf, loopCommand } from "./loop-command.ts";
import {
  countLoops,
  deleteLoop,
  findLoop,
  findLoopOf,
  findReport,
  type FileObstacle,
  insertLoop,
  listLoops,
  listRounds,
  type LoopPage,
  moveLoop,
} from "./loop-rows.ts";
import { type LoopContext, type LoopRun, loopFolderOf } from "./loop-run.ts";
import type { LoopBody } from "./loop-schema.ts";
import { planLoop } from "./plan-loop.ts";
import {
  hasEnded,
  type LoopFigures,
  type LoopStatus,
  loopTables,
  openStatuses,
  type ReportKind,
  type StoredLoop,
  type StoredRound,
} from "./records.ts";
import { TakeLoop } from "./take-loop.ts";

export interface LoopServiceOptions {
  readonly catalog: ModelCatalog;
  readonly config: Pick<Config, "apiKeys" | "dataFolder" | "device" | "leaseS" | "seedFolder">;
  readonly files: FileService;
  readonly jobs: JobService;
  readonly log: Log;
  readonly store: Store;
  readonly turn: DeviceTurn;
  /** How a loop is run; another only in tests. */
  readonly commandOf?: LoopCommandOf;
}

interface Opened {
  readonly database: Database;
  readonly worker: Worker<LoopRun>;
}

export class LoopService implements LoopFigures {
  readonly #options: LoopServiceOptions;
  readonly #loopsFolder: string;
  readonly #draining = new AbortController();
  readonly #opening = new Opening(() => this.#open());
  /** Where this gateway answers, once it does: loops ask it for their dialogues. */
  readonly #url = Promise.withResolvers<string>();

  /** Opens nothing yet. */
  constructor(options: LoopServiceOptions) {
    this.#options = options;
    this.#loopsFolder = join(options.config.dataFolder, "loops");
  }

  /** Aborts when the server begins to drain: streams of events end then, and are taken up elsewhere. */
  get drainSignal(): AbortSignal {
    return this.#draining.signal;
  }

  /** Goes on with what an earlier process left, if there is a store; works at nothing before `listening`. Throws StoreError. */
  async start(): Promise<void> {
    if (await this.#options.store.exists()) await this.#opening.get();
  }

  /** The gateway answers at `url` from now on. */
  listening(url: string): void {
    this.#url.resolve(url);
  }

  /** The store; opened now if it was not yet. Throws ApiError when it cannot be. */
  async database(): Promise<Database> {
    return (await this.#openForClient()).database;
  }

  /** Throws ApiError. */
  async create(body: LoopBody): Promise<StoredLoop> {
    const { catalog, config } = this.#options;
    const isLocal = async (id: string) => (await this.#folderOf(id)) !== null;
    const loop = await planLoop(body, { catalog, config, isLocal });
    const { database, worker } = await this.#openForClient();
    const obstacle = await insertLoop(database, loop, words.created(loop.id));
    if (obstacle !== null) throw unusableFile(obstacle);
    worker.wake();
    return this.retrieve(loop.id);
  }

  /** Throws ApiError 404. */
  async retrieve(id: string): Promise<StoredLoop> {
    const database = await this.database();
    // Other characters are in no id, and not all of them can be asked for.
    const loop = /^\w+$/.test(id) ? await findLoop(database, id) : null;
    if (loop !== null) return loop;
    throw new ApiError(404, `No such loop: '${excerpt(id)}'.`, { param: "id", code: "loop_not_found" });
  }

  async list(page: LoopPage): Promise<readonly StoredLoop[]> {
    if (page.after !== null) await this.retrieve(page.after);
    return listLoops(await this.database(), page);
  }

  /** Ends it for good; rounds that are over stay. */
  async cancel(id: string): Promise<StoredLoop> {
    const loop = await this.#move(id, openStatuses, "cancelled", words.cancelled());
    await this.#steerSelfplay(loop.selfplayJob, "cancel");
    return loop;
  }

  /** Lets it write down how far it is and wait; the device is free for others meanwhile. */
  async pause(id: string): Promise<StoredLoop> {
    const loop = await this.#move(id, ["queued", "running"], "paused", words.paused());
    await this.#steerSelfplay(loop.selfplayJob, "pause");
    return loop;
  }

  async resume(id: string): Promise<StoredLoop> {
    const loop = await this.#move(id, ["paused"], "queued", words.resumed());
    await this.#steerSelfplay(loop.selfplayJob, "resume");
    return loop;
  }

  /** Removes a loop that has ended with its reports and files. The models that it made stay, and so do its self-play jobs. */
  async delete(id: string): Promise<void> {
    const { status } = await this.retrieve(id);
    const { database } = await this.#openForClient();
    if (!hasEnded(status) || !(await deleteLoop(database, id))) {
      throw new ApiError(409, `The loop '${id}' is ${status}: cancel it before it is deleted.`, {
        param: "id",
        code: "loop_not_ended",
      });
    }
    await rm(loopFolderOf(this.#loopsFolder, id), { recursive: true, force: true });
  }

  /** Rounds that are over, the first first. */
  async rounds(id: string): Promise<readonly StoredRound[]> {
    await this.retrieve(id);
    return listRounds(await this.database(), id);
  }

  /** Throws ApiError 404 where the round is not over. */
  async report(id: string, round: string, kind: ReportKind): Promise<string> {
    await this.retrieve(id);
    const number = /^\d{1,6}$/.test(round) ? Number(round) : 0;
    const report = await findReport(await this.database(), id, number, kind);
    if (report !== null) return report;
    const message = `Round '${excerpt(round)}' of the loop '${id}' is not over.`;
    throw new ApiError(404, message, { param: "round", code: "round_not_found" });
  }

  /** A loop that still needs the model; null when none does. Makes no store where there is none yet. */
  async findLoopOf(modelId: string): Promise<string | null> {
    if (!(await this.#options.store.exists())) return null;
    return findLoopOf(await this.database(), modelId);
  }

  async counts(): Promise<ReadonlyMap<LoopStatus, number>> {
    try {
      const opened = await this.#opening.current();
      return opened === null ? new Map() : await countLoops(opened.database);
    } catch (error) {
      this.#options.log.warn("loops could not be counted", { error });
      return new Map();
    }
  }

  /** Lets the loop that runs write down how far it is until `stop` says otherwise; it goes on at the next start, or elsewhere. */
  async drain(stop: AbortSignal): Promise<void> {
    this.#draining.abort();
    const opened = await this.#opening.current();
    await opened?.worker.drain(stop);
  }

  async #move(
    id: string,
    from: readonly LoopStatus[],
    to: "cancelled" | "paused" | "queued",
    event: NewWorkEvent,
  ): Promise<StoredLoop> {
    const { status } = await this.retrieve(id);
    const { database, worker } = await this.#openForClient();
    if (status !== to && !(await moveLoop(database, id, from, to, event))) {
      const now = (await this.retrieve(id)).status;
      const verb = to === "queued" ? "resumed" : to;
      throw new ApiError(409, `The loop '${id}' is ${now} and cannot be ${verb}.`, {
        param: "id",
        code: "loop_status",
      });
    }
    worker.tell(id, to);
    return this.retrieve(id);
  }

  /** The job that plays its dialogues waits, goes on and ends with it. One that has ended or is gone is no news. */
  async #steerSelfplay(selfplayJob: string | null, action: "cancel" | "pause" | "resume"): Promise<void> {
    if (selfplayJob === null) return;
    try {
      await this.#options.jobs[action](selfplayJob);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #openForClient(): Promise<Opened> {
    return this.#options.store.forClient(this.#opening.get());
  }

  async #open(): Promise<Opened> {
    const { config, files, log, store, turn, commandOf = loopCommand } = this.#options;
    const database = await store.open();
    // Nobody else can hold one: whoever did is gone.
    if (database.kind === "pglite") await voidLeases(database, loopTables);
    const owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
    const leaseMs = config.leaseS * 1000;
    const context: Omit<LoopContext, "url"> = {
      database,
      log,
      commandOf,
      loopsFolder: this.#loopsFolder,
      filesFolder: files.folder.root,
      modelsFolder: tunedModelsFolder(config.dataFolder),
      apiKey: config.apiKeys[0] ?? null,
      threads: trainingThreads(),
      steerSelfplay: (id, action) => this.#steerSelfplay(id, action),
      folderOf: (id) => this.#folderOf(id),
    };
    const obstacleOf = (loop: StoredLoop) => this.#obstacleOf(loop);
    const taking = this.#url.promise.then(
      (url) => new TakeLoop({ owner, leaseMs, context: { ...context, url }, log, database, turn, obstacleOf }),
    );
    const worker = new Worker<LoopRun>({
      kind: "loop",
      leaseMs,
      log,
      take: async () => (await taking).take(),
      renew: ({ claim }) => renewLease(database, loopTables, claim, leaseMs),
      onLeft: () => worker.wake(),
    });
    turn.onFree(() => worker.wake());
    void this.#startOnceListening(worker);
    return { database, worker };
  }

  async #startOnceListening(worker: Worker<LoopRun>): Promise<void> {
    await this.#url.promise;
    if (!this.#draining.signal.aborted) worker.start();
  }

  async #obstacleOf({ id, plan, heldoutFiles, startedAtMs }: StoredLoop): Promise<string | null> {
    const { catalog, files } = this.#options;
    for (const { id: model, hash } of Object.values(plan.begins)) {
      const served = catalog.get(model)?.info;
      if (served === undefined || (await this.#folderOf(model)) === null)
        return `the model '${model}' is not served here.`;
      if (served.modelHash !== hash) return `the model '${model}' is another one than when the loop was created.`;
    }
    for (const file of heldoutFiles) {
      if (!(await files.folder.has(file))) return `the content of '${file}' is not in this data folder.`;
    }
    const folder = loopFolderOf(this.#loopsFolder, id);
    const isBegunElsewhere = startedAtMs !== null && (await stat(folder).catch(() => null)) === null;
    return isBegunElsewhere ? "what it has made is not in this data folder." : null;
  }

  async #folderOf(id: string): Promise<string | null> {
    return (await this.#options.catalog.loader?.folderOf(id)) ?? null;
  }
}

function unusableFile({ index, id, purpose }: FileObstacle): ApiError {
  const param = `heldout_files[${index}]`;
  if (purpose === null) {
    return new ApiError(400, `No such file: ${excerpt(id)}`, { param, code: "file_not_found" });
  }
  const message = `The file '${id}' has the purpose '${purpose}'; held-out dialogues are uploaded with the purpose 'fine-tune'.`;
  return new ApiError(400, message, { param, code: "invalid_file_purpose" });
}
