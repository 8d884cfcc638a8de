// Owns which models this process serves: loads them from their folders, adds those elsewhere, hands them out by id, replaces and
// removes them while requests run, closes them.
// It knows neither what is in a folder (runtime/load-model.ts) nor how an upstream is asked nor what requests are.
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ChatModel, EngineObserver, ModelInfo } from "../runtime/chat-model.ts";
import { EngineError } from "../runtime/errors.ts";
import { loadModel, type LoadOptions, type OpenEngine } from "../runtime/load-model.ts";
import { readManifest } from "../runtime/manifest.ts";
import { isFineTuned } from "../runtime/model-id.ts";
import { TokenizerShelf } from "../runtime/text/tokenizer-shelf.ts";
import type { Config } from "./config.ts";
import type { ModelCatalog, ModelChange, ModelLoader, ModelReadiness } from "./model-catalog.ts";
import {
  findModelFolder,
  findModelFolders,
  fingerprintOf,
  folderById,
  isRemoved,
  listFolders,
} from "./model-folders.ts";
import { createServedModel, type ServedModel } from "./served-model.ts";
import { SwitchedObserver } from "./switched-observer.ts";
import { createLedger, type UpstreamLedger } from "./upstream/ledger.ts";
import { createUpstreamModel } from "./upstream/upstream-model.ts";

/** A model may be closed when nobody was given it for so long: between being looked up and being asked lies far less. */
const quietMs = 1000;
/** A folder that cannot be served is tried again after so long, then after twice as long, … */
const firstRetryMs = 5000;
const lastRetryMs = 600_000;

/**
 * Loads every model that the configuration names, one after the other; the caller closes the catalog. Throws EngineError
 * with one sentence for the first thing that is wrong, and then holds nothing.
 */
export async function openRegistry(
  config: Config,
  observer: EngineObserver,
  signal: AbortSignal,
  openEngine?: OpenEngine,
): Promise<ModelCatalog> {
  const folders = await folderById(await findModelFolders(config));
  if (folders.size === 0 && config.upstreams.length === 0) {
    const roots = config.modelRoots.join(", ") || "no folder at all";
    throw new EngineError("bad_model", `There is no model to serve: no subfolder of ${roots} has a manifest.json.`);
  }
  const twice = config.upstreams.find(({ id }) => folders.has(id));
  if (twice !== undefined) {
    throw new EngineError("bad_model", `${folders.get(twice.id)} and an upstream are both named "${twice.id}".`);
  }
  const registry = new Registry(config, observer, openEngine);
  try {
    for (const folder of folders.values()) await registry.open(folder, signal);
  } catch (error) {
    // Whatever goes wrong while closing, the first error is the one to be told.
    await registry.close().catch(() => {});
    throw error;
  }
  return registry;
}

interface Entry {
  readonly served: ServedModel;
  readonly info: ModelInfo;
  readonly folder: string;
  readonly fingerprint: string | null;
  readonly fallback: string | null;
  /** Two engines of one name must not both tell how it stands. */
  readonly observer: SwitchedObserver;
}

class Registry implements ModelCatalog, ModelLoader {
  readonly upstreams?: UpstreamLedger;
  readonly #config: Config;
  readonly #observer: EngineObserver;
  readonly #openEngine: OpenEngine | undefined;
  readonly #local = new Map<string, Entry>();
  readonly #remote = new Map<string, ChatModel>();
  /** Out of service, and not closed yet. */
  readonly #retiring = new Set<ServedModel>();
  readonly #listeners: ((change: ModelChange) => void)[] = [];
  /** By folder. */
  readonly #failures = new Map<
    string,
    { readonly delayMs: number; readonly retryAtMs: number; readonly sentence: string }
  >();
  readonly #tokenizers = new TokenizerShelf();
  readonly #stopping = new AbortController();
  #changes: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(config: Config, observer: EngineObserver, openEngine: OpenEngine | undefined) {
    this.#config = config;
    this.#observer = observer;
    this.#openEngine = openEngine;
    if (config.upstreams.length === 0) return;
    const ledger = createLedger();
    const createdAtS = Math.floor(Date.now() / 1000);
    for (const settings of config.upstreams) {
      const deps = { ledger, observer, maxWaiting: config.maxQueuedRequests, createdAtS };
      this.#remote.set(settings.id, createUpstreamModel(settings, deps));
    }
    this.upstreams = ledger;
  }

  get loader(): ModelLoader {
    return this;
  }

  list(): readonly ChatModel[] {
    return [...[...this.#local.values()].map(({ served }) => served.model), ...this.#remote.values()];
  }

  get(id: string): ChatModel | undefined {
    const entry = this.#local.get(id);
    if (entry === undefined) return this.#remote.get(id);
    entry.served.touch();
    return entry.served.model;
  }

  ready() {
    const isReady = this.#closing === null;
    const readinessOf = ({ info: { id, role, device, precision } }: ChatModel): ModelReadiness => {
      const detail = isReady ? this.#local.get(id)?.fallback : "closing";
      return { id, role, device, precision, ready: isReady, ...(typeof detail === "string" ? { detail } : {}) };
    };
    return { ready: isReady, models: this.list().map(readinessOf) };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#closeAll());
  }

  watch(listener: (change: ModelChange) => void): void {
    this.#listeners.push(listener);
  }

  folderOf(id: string): Promise<string | null> {
    return findModelFolder(this.#config, id);
  }

  load(id: string, signal: AbortSignal): Promise<ModelInfo> {
    return this.#inTurn(async () => {
      const folder = await this.folderOf(id);
      if (folder === null) throw new EngineError("bad_model", `No models folder holds a model named "${id}".`);
      if (this.#remote.has(id)) throw new EngineError("bad_model", `${folder} and an upstream are both named "${id}".`);
      const { info } = await this.open(folder, signal);
      this.#failures.delete(folder);
      return info;
    });
  }

  remove(id: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const folder = await this.folderOf(id);
      // Hidden first: nobody shall find it again while it is being deleted.
      const hidden = folder === null ? null : join(dirname(folder), `.${basename(folder)}.${process.pid}.deleted`);
      if (folder !== null && hidden !== null) await rename(folder, hidden);
      this.#unload(id);
      if (hidden !== null) await rm(hidden, { recursive: true, force: true });
      return folder !== null;
    });
  }

  async refresh(signal: AbortSignal): Promise<void> {
    for (const [id, { folder }] of this.#local) {
      if (isFineTuned(id) && (await isRemoved(folder))) await this.#inTurn(async () => this.#unload(id));
    }
    for (const folder of await listFolders(this.#config)) {
      if (signal.aborted) return;
      const failure = this.#failures.get(folder);
      if (failure !== undefined && performance.now() < failure.retryAtMs) continue;
      try {
        await this.#refreshFolder(folder, signal);
        this.#failures.delete(folder);
      } catch (error) {
        if (signal.aborted) return;
        const sentence = error instanceof Error ? error.message : String(error);
        if (failure?.sentence !== sentence) this.#tell({ kind: "failed", folder, sentence });
        const delayMs = Math.min(lastRetryMs, failure === undefined ? firstRetryMs : failure.delayMs * 2);
        this.#failures.set(folder, { delayMs, retryAtMs: performance.now() + delayMs, sentence });
      }
    }
  }

  /** Serves what is in the folder, in the place of what has its id now. */
  async open(folder: string, caller: AbortSignal): Promise<Entry> {
    const signal = AbortSignal.any([caller, this.#stopping.signal]);
    const fingerprint = await fingerprintOf(folder);
    const { id } = await readManifest(folder);
    const old = this.#local.get(id);
    if (old?.folder === folder && old.fingerprint === fingerprint) return old;
    const startedAtMs = performance.now();
    let fallback: string | null = null;
    const options = { ...loadOptions(this.#config, (reason) => (fallback = reason)), tokenizers: this.#tokenizers };
    const observer = new SwitchedObserver(this.#observer);
    const model = await loadModel(folder, options, observer, signal, this.#openEngine);
    if (signal.aborted) {
      await model.close();
      signal.throwIfAborted();
    }
    const { info } = model;
    const entry = { served: createServedModel(model, { quietMs }), info, folder, fingerprint, fallback, observer };
    this.#local.set(id, entry);
    if (old !== undefined) this.#retire(id, old);
    observer.repeat(id);
    const durationMs = performance.now() - startedAtMs;
    this.#tell({ kind: old === undefined ? "loaded" : "replaced", info, durationMs, fallback });
    return entry;
  }

  async #refreshFolder(folder: string, signal: AbortSignal): Promise<void> {
    const fingerprint = await fingerprintOf(folder);
    if (fingerprint === null) return;
    const { id } = await readManifest(folder);
    const served = this.#local.get(id);
    // Of two folders with one id, the one that was first stays.
    if (served !== undefined && served.folder !== folder && !(await isRemoved(served.folder))) return;
    if (served?.folder === folder && served.fingerprint === fingerprint) return;
    await this.load(id, signal);
  }

  #unload(id: string): void {
    const entry = this.#local.get(id);
    if (entry === undefined) return;
    this.#local.delete(id);
    this.#retire(id, entry);
    this.#tell({ kind: "unloaded", info: entry.info });
  }

  #retire(id: string, { served, observer }: Entry): void {
    observer.isOn = false;
    this.#retiring.add(served);
    void served
      .retire(() => this.get(id))
      // A device that fails while it is released has nobody left to be told.
      .catch(() => {})
      .finally(() => this.#retiring.delete(served));
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#changes.then(change);
    this.#changes = result.catch(() => undefined);
    return result;
  }

  #tell(change: ModelChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  async #closeAll(): Promise<void> {
    this.#stopping.abort(new EngineError("draining", "The server is shutting down."));
    await this.#changes;
    const local = [...this.#local.values()].map(({ served }) => served);
    const closable = [...local, ...this.#retiring, ...this.#remote.values()];
    const results = await Promise.allSettled(closable.map((model) => model.close()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

function loadOptions(config: Config, onDeviceFallback: (reason: string) => void): LoadOptions {
  return {
    settings: {
      device: config.device,
      threads: config.threads,
      isSpinning: config.spin === "on",
      libraryPath: config.ortLibrary,
      slots: config.slotsPerModel,
      contextWindow: config.contextWindowCap,
      prefillChunkTokens: config.prefillChunkTokens,
      maxWaitingRequests: config.maxQueuedRequests,
      maxWaitingTokens: config.maxQueuedTokens,
    },
    batchInvariant: config.batchInvariant,
    onDeviceFallback,
  };
}
