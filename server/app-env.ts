// Owns what a request carries through the app besides itself, and what the app is made of.
// Types only.
import type { HttpBindings } from "@hono/node-server";
import type { Config } from "./config.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelCatalog } from "./model-catalog.ts";
import type { Services } from "./services.ts";

/** What createApp and every route are given; nothing is looked up anywhere else. */
export interface AppDeps {
  readonly catalog: ModelCatalog;
  readonly config: Config;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly lifecycle: Lifecycle;
  readonly services: Services;
}

export interface AppEnv {
  /** Absent when the app is called without a socket. */
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    /** Added to the request's log line; never contents of messages. */
    logFields: Record<string, string | number | boolean | null>;
    /** Set for answers that go on after their headers; resolves when the last byte is handed over. */
    streamEnd: Promise<void> | undefined;
  };
}
