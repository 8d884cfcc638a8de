// Owns which models this process serves: finds their folders, loads them, adds those elsewhere, hands them out by id, closes them.
// It knows neither what is in a folder (runtime/load-model.ts) nor how an upstream is asked nor what requests are.
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ChatModel, EngineObserver } from "../runtime/chat-model.ts";
import { EngineError } from "../runtime/errors.ts";
import { loadModel, type LoadOptions, type OpenEngine } from "../runtime/load-model.ts";
import { manifestName, readManifest } from "../runtime/manifest.ts";
import type { Config } from "./config.ts";
import type { ModelCatalog, ModelReadiness } from "./model-catalog.ts";
import { createLedger } from "./upstream/ledger.ts";
import { createUpstreamModel } from "./upstream/upstream-model.ts";

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
  const folders = await findFolders(config);
  await checkIds(folders, config);
  const models = new Map<string, ChatModel>();
  const details = new Map<string, string>();
  try {
    for (const folder of folders) {
      let fallback: string | null = null;
      const options = loadOptions(config, (reason) => (fallback = reason));
      const model = await loadModel(folder, options, observer, signal, openEngine);
      models.set(model.info.id, model);
      if (fallback !== null) details.set(model.info.id, fallback);
    }
  } catch (error) {
    // Whatever goes wrong while closing, the first error is the one to be told.
    await closeAll(models.values()).catch(() => {});
    throw error;
  }
  if (config.upstreams.length === 0) return createCatalog(models, details);
  const ledger = createLedger();
  const createdAtS = Math.floor(Date.now() / 1000);
  for (const settings of config.upstreams) {
    const deps = { ledger, observer, maxWaiting: config.maxQueuedRequests, createdAtS };
    models.set(settings.id, createUpstreamModel(settings, deps));
  }
  return { ...createCatalog(models, details), upstreams: ledger };
}

function createCatalog(models: ReadonlyMap<string, ChatModel>, details: ReadonlyMap<string, string>): ModelCatalog {
  const list = [...models.values()];
  let closing: Promise<void> | null = null;
  const readinessOf = ({ info: { id, role, device, precision } }: ChatModel): ModelReadiness => {
    const detail = closing === null ? details.get(id) : "closing";
    return { id, role, device, precision, ready: closing === null, ...(detail === undefined ? {} : { detail }) };
  };
  return {
    list: () => list,
    get: (id) => models.get(id),
    ready: () => ({ ready: closing === null, models: list.map(readinessOf) }),
    close: () => (closing ??= closeAll(list)),
  };
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

/** Every model folder once, however often it is named: those of the roots by name, then the single ones as given. */
async function findFolders(config: Config): Promise<string[]> {
  const found: string[] = [];
  for (const root of config.modelRoots) {
    const entries = await readdir(root).catch(() => null);
    if (entries === null) throw new EngineError("bad_model", `The models folder ${root} cannot be read.`);
    // A dot hides folders that are still being written.
    for (const name of entries.filter((entry) => !entry.startsWith(".")).toSorted()) {
      if (await hasManifest(join(root, name))) found.push(join(root, name));
    }
  }
  for (const folder of config.modelFolders) {
    if (!(await hasManifest(folder))) {
      throw new EngineError("bad_model", `${folder} is not a model folder: it has no ${manifestName}.`);
    }
    found.push(folder);
  }
  if (found.length === 0 && config.upstreams.length === 0) {
    const roots = config.modelRoots.join(", ") || "no folder at all";
    throw new EngineError("bad_model", `There is no model to serve: no subfolder of ${roots} has a ${manifestName}.`);
  }
  const byPlace = new Map<string, string>();
  for (const folder of found) {
    const place = await realpath(folder);
    if (!byPlace.has(place)) byPlace.set(place, folder);
  }
  return [...byPlace.values()];
}

/** Reads all manifests before any weights: two models under one id are found in milliseconds. */
async function checkIds(folders: readonly string[], { upstreams }: Config): Promise<void> {
  const folderOf = new Map<string, string>();
  for (const folder of folders) {
    const { id } = await readManifest(folder);
    const other = folderOf.get(id);
    if (other !== undefined)
      throw new EngineError("bad_model", `${other} and ${folder} both hold a model named "${id}".`);
    folderOf.set(id, folder);
  }
  const twice = upstreams.find(({ id }) => folderOf.has(id));
  if (twice === undefined) return;
  throw new EngineError("bad_model", `${folderOf.get(twice.id)} and an upstream are both named "${twice.id}".`);
}

const hasManifest = async (folder: string) => (await stat(join(folder, manifestName)).catch(() => null)) !== null;

async function closeAll(models: Iterable<ChatModel>): Promise<void> {
  const results = await Promise.allSettled([...models].map((model) => model.close()));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
