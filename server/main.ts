// The process: settings, models, listening, what to try, and draining on SIGTERM or SIGINT. The only file that listens.
// Importing it does nothing; `node server/main.ts` runs it.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { constants } from "node:os";
import type { EngineObserver } from "../runtime/chat-model.ts";
import { EngineError } from "../runtime/errors.ts";
import { createApp } from "./app.ts";
import { helpText } from "./config-help.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { createHttpServer } from "./http-server.ts";
import { createLifecycle } from "./lifecycle.ts";
import { type Log, createLog } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import type { ModelCatalog, ModelChange } from "./model-catalog.ts";
import { scanModelFolders } from "./model-scan.ts";
import { createServices } from "./services.ts";
import { StoreError } from "./store/database.ts";
import { welcome } from "./welcome.ts";

/** A server that listens. */
export interface RunningServer {
  /** Where it is reached, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly catalog: ModelCatalog;
  /** Admits nothing more, lets what runs finish within the configured time, then closes everything. */
  readonly drain: () => Promise<void>;
}

const farewellMs = 2000;

type OpenCatalog = (config: Config, observer: EngineObserver, signal: AbortSignal) => Promise<ModelCatalog>;

/** Opens the models and listens. Throws ConfigError where the address cannot be had; nothing stays open then. */
export async function startServer(
  config: Config,
  openCatalog: OpenCatalog,
  log: Log,
  signal: AbortSignal,
): Promise<RunningServer> {
  const metrics = createMetrics({ version: packageVersion(), hasProcessMetrics: true });
  const catalog = await openCatalog(config, metrics.observer, signal);
  metrics.describe(catalog.list().map((model) => model.info));
  catalog.loader?.watch((change) => noteChange(change, metrics, log));
  if (catalog.upstreams !== undefined) metrics.watchUpstreams(catalog.upstreams);
  const lifecycle = createLifecycle();
  const services = createServices({ catalog, config, log, metrics });
  const { server, idle } = createHttpServer(createApp({ catalog, config, lifecycle, log, metrics, services }).fetch);
  try {
    await services.start();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(config.port, config.host, resolve);
    });
  } catch (error) {
    await services.drain(AbortSignal.abort());
    await services.close();
    await catalog.close();
    throw error instanceof StoreError ? error : listenError(error, config);
  }

  const url = urlOf(server.address() as AddressInfo);
  services.loops.listening(url);
  for (const model of catalog.ready().models) log.info("serving", { ...model });
  const scanning = new AbortController();
  if (catalog.loader !== undefined) scanModelFolders(catalog.loader, config.rescanS, scanning.signal);
  log.info("listening", { url });

  async function drain(): Promise<void> {
    lifecycle.drain();
    scanning.abort();
    log.info("draining", { timeoutS: config.drainTimeoutS });
    // Still listening: a client that comes now is told to go elsewhere, rather than refused a connection.
    let timer = setTimeout(() => {
      log.warn("stopping requests that did not finish in time");
      lifecycle.stop();
      // Time for the last words to be sent; a client that does not read them would keep us for ever.
      timer = setTimeout(() => server.closeAllConnections(), farewellMs);
    }, config.drainTimeoutS * 1000);
    await Promise.all([idle(), services.drain(lifecycle.stopSignal)]);
    clearTimeout(timer);
    server.close();
    server.closeAllConnections();
    await services.close();
    await catalog.close();
    log.info("stopped");
  }
  return { url, catalog, drain };
}

function noteChange(change: ModelChange, metrics: Metrics, log: Log): void {
  if (change.kind === "failed") {
    log.warn("a model folder cannot be served", { folder: change.folder, reason: change.sentence });
    return;
  }
  const { kind, info } = change;
  const { id, role, device, precision, modelHash } = info;
  if (kind === "unloaded") {
    metrics.forget(info);
    log.info("no longer serving", { id });
    return;
  }
  metrics.describe([info]);
  const { fallback, durationMs } = change;
  const detail = fallback === null ? {} : { detail: fallback };
  log.info("serving", { id, role, device, precision, modelHash, kind, loadMs: Math.round(durationMs), ...detail });
}

function urlOf({ address, family, port }: AddressInfo): string {
  // Nobody can type 0.0.0.0 into a browser everywhere.
  const reachable = address === "0.0.0.0" || address === "::" ? "localhost" : address;
  return `http://${family === "IPv6" && reachable !== "localhost" ? `[${reachable}]` : reachable}:${port}`;
}

function listenError(error: unknown, { host, port }: Config): ConfigError {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  const sentences: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is in use: stop what listens there or choose another with --port.`,
    EACCES: `Port ${port} on ${host} may not be used by this user: choose one above 1023 with --port.`,
    EADDRNOTAVAIL: `${host} is no address of this machine: choose another with --host.`,
    ENOTFOUND: `The host name ${host} is unknown: choose another with --host.`,
  };
  const reason = error instanceof Error ? error.message : String(error);
  return new ConfigError(sentences[code ?? ""] ?? `Cannot listen on ${host}:${port}: ${reason}.`, { cause: error });
}

function packageVersion(): string {
  const file = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes("--help") || argv.includes("-h")) {
    process.stdout.write(helpText());
    return;
  }
  const config = readConfig(argv);
  // Only now: neither --help nor a mistyped option should need the native library.
  const { openRegistry } = await import("./registry.ts");
  const signalled = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      // A second signal means now.
      if (signalled.signal.aborted) process.exit(128 + constants.signals[name]);
      signalled.abort();
    });
  }
  const running = await startServer(config, openRegistry, createLog(config.logLevel), signalled.signal);
  console.log(welcome(running.url, running.catalog, config.apiKeys.length > 0));
  if (!signalled.signal.aborted) await once(signalled.signal, "abort");
  await running.drain();
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
    process.exit(0);
  } catch (error) {
    // What a person can put right is one sentence; anything else is a fault of ours and shows where.
    const isForPeople = error instanceof ConfigError || error instanceof EngineError || error instanceof StoreError;
    console.error(isForPeople ? error.message : error);
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
}
