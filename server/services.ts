// Owns what works behind the routes for the life of a server, and the order in which it starts, drains and closes.
// It knows neither HTTP nor how any of it works.
import type { Config } from "./config.ts";
import { FileService } from "./files/file-service.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelCatalog } from "./model-catalog.ts";
import { LoopService } from "./loops/loop-service.ts";
import type { LoopCommandOf } from "./loops/loop-command.ts";
import { JobService } from "./selfplay/jobs/job-service.ts";
import { Store } from "./store/store.ts";
import type { CommandOf } from "./tuning/tune-command.ts";
import { TuningService } from "./tuning/tuning-service.ts";
import { DeviceTurn } from "./work/device-turn.ts";

export interface Services {
  readonly files: FileService;
  /** Self-play jobs. */
  readonly jobs: JobService;
  readonly tuning: TuningService;
  readonly loops: LoopService;
  /** Goes on with what an earlier process left. Throws StoreError. */
  start(): Promise<void>;
  /** Begins nothing more and lets what runs come to a good end until `stop` says otherwise. */
  drain(stop: AbortSignal): Promise<void>;
  /** Closes the store; nothing may be asked any more. */
  close(): Promise<void>;
}

export interface ServiceDeps {
  readonly catalog: ModelCatalog;
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What stands in for the programs that are started, in tests. */
export interface Commands {
  readonly tune?: CommandOf;
  readonly loop?: LoopCommandOf;
}

/** Opens and starts nothing yet. */
export function createServices(deps: ServiceDeps, commands: Commands = {}): Services {
  const store = new Store(deps.config, deps.log);
  const files = new FileService({ ...deps, store });
  const jobs = new JobService({ ...deps, store });
  const turn = new DeviceTurn();
  const shared = { ...deps, files, store, turn };
  const tuning = new TuningService({ ...shared, ...commandIn(commands.tune) });
  const loops = new LoopService({ ...shared, jobs, ...commandIn(commands.loop) });
  deps.metrics.watchTuning(tuning);
  deps.metrics.watchLoops(loops);
  return {
    files,
    jobs,
    tuning,
    loops,
    async start() {
      await jobs.start();
      await files.start();
      await tuning.start();
      await loops.start();
    },
    async drain(stop) {
      await Promise.all([jobs.drain(stop), tuning.drain(stop), loops.drain(stop)]);
    },
    async close() {
      await files.close();
      await jobs.close();
      await store.close();
    },
  };
}

const commandIn = <C>(commandOf: C | undefined) => (commandOf === undefined ? {} : { commandOf });
