// Owns what works behind the routes for the life of a server, and the order in which it starts, drains and closes.
// It knows neither HTTP nor how any of it works.
import type { Config } from "./config.ts";
import { FileService } from "./files/file-service.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelCatalog } from "./model-catalog.ts";
import { JobService } from "./selfplay/jobs/job-service.ts";
import { Store } from "./store/store.ts";

export interface Services {
  readonly files: FileService;
  /** Self-play jobs. */
  readonly jobs: JobService;
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

/** Opens and starts nothing yet. */
export function createServices(deps: ServiceDeps): Services {
  const store = new Store(deps.config, deps.log);
  const files = new FileService({ ...deps, store });
  const jobs = new JobService({ ...deps, store });
  return {
    files,
    jobs,
    async start() {
      await jobs.start();
      await files.start();
    },
    drain: (stop) => jobs.drain(stop),
    async close() {
      await files.close();
      await jobs.close();
      await store.close();
    },
  };
}
