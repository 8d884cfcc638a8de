// Owns what works behind the routes for the life of a server, and the order in which it starts, drains and closes.
// It knows neither HTTP nor how any of it works.
import type { Config } from "./config.ts";
import { FileService } from "./files/file-service.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelCatalog } from "./model-catalog.ts";
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

/** Opens and starts nothing yet. `tuneCommand` stands in for what trains, in tests. */
export function createServices(deps: ServiceDeps, tuneCommand?: CommandOf): Services {
  const store = new Store(deps.config, deps.log);
  const files = new FileService({ ...deps, store });
  const jobs = new JobService({ ...deps, store });
  const tuning = new TuningService({
    ...deps,
    files,
    store,
    turn: new DeviceTurn(),
    ...(tuneCommand === undefined ? {} : { commandOf: tuneCommand }),
  });
  deps.metrics.watchTuning(tuning);
  return {
    files,
    jobs,
    tuning,
    async start() {
      await jobs.start();
      await files.start();
      await tuning.start();
    },
    async drain(stop) {
      await Promise.all([jobs.drain(stop), tuning.drain(stop)]);
    },
    async close() {
      await files.close();
      await jobs.close();
      await store.close();
    },
  };
}
