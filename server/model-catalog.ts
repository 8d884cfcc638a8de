// Owns the one thing the server knows about where models come from: a catalog to look them up in, and a loader that changes it.
// Types only. It knows neither folders nor manifests nor devices; server/registry.ts does.
import type { ChatModel, ModelInfo, ModelRole } from "../runtime/chat-model.ts";
import type { UpstreamLedger } from "./upstream/ledger.ts";

/** How one model stands; sent as it is by `/ready`. */
export interface ModelReadiness {
  readonly id: string;
  readonly role: ModelRole;
  /** `cpu`, `cuda`, `webgpu`, or `remote`. */
  readonly device: string;
  readonly precision: string;
  readonly ready: boolean;
  /** Why it is not ready, or why another device than the one asked for is used. */
  readonly detail?: string;
}

/** Whether every model can answer now. */
interface CatalogReadiness {
  readonly ready: boolean;
  readonly models: readonly ModelReadiness[];
}

/** The served models. */
export interface ModelCatalog {
  /** Every served model, in the order in which they are shown. */
  list(): readonly ChatModel[];
  /**
   * To be asked for anew by every request and every dialogue, and kept no longer: a model that is replaced or removed ends what it
   * began, and is closed when nobody uses it.
   */
  get(id: string): ChatModel | undefined;
  ready(): CatalogReadiness;
  /** What the models elsewhere were asked and cost; absent where there are none. */
  readonly upstreams?: UpstreamLedger;
  /** Changes what is served while the server runs; absent where that never changes. */
  readonly loader?: ModelLoader;
  /** Closes every model: refuses new requests, cancels running ones, releases everything. */
  close(): Promise<void>;
}

/** What became of one model. */
export type ModelChange =
  /** `fallback` is why another device was taken than hoped for. */
  | {
      readonly kind: "loaded" | "replaced";
      readonly info: ModelInfo;
      readonly durationMs: number;
      readonly fallback: string | null;
    }
  | { readonly kind: "unloaded"; readonly info: ModelInfo }
  /** A folder that appeared cannot be served; the sentence says why. It is tried again later. */
  | { readonly kind: "failed"; readonly folder: string; readonly sentence: string };

/**
 * Loads, replaces and removes models without dropping a request. To serve a model that was just made, put its folder into one of
 * the configured models folders, under `modelFolderName(id)` (runtime/model-id.ts) and in one move, and call `load(id)`.
 * Changes happen one after the other; none of them blocks the event loop.
 */
export interface ModelLoader {
  /**
   * Serves the model `id` of the configured folders as it is there now, and resolves when requests go to it. In the place of
   * another of that id: what runs ends on the old weights, which are freed after the last. Nothing is done where that very
   * manifest is served already. Throws EngineError: `bad_model` where no folder holds it, where it is broken, or where an
   * upstream has its name; what opening the engine throws. What was served before is then served still.
   */
  load(id: string, signal: AbortSignal): Promise<ModelInfo>;
  /**
   * Ends serving it and deletes its folder: from now on the id is unknown, what runs may finish. Resolves when the folder is gone;
   * memory is freed after the last request. False where no folder holds it.
   */
  remove(id: string): Promise<boolean>;
  /** The folder that holds the model `id` now, served or not; null when none does. */
  folderOf(id: string): Promise<string | null>;
  /**
   * Looks through the configured folders for what others put there, changed or removed: loads new models, replaces changed ones,
   * and ends serving fine-tuned ones that are gone. Never throws; `watch` hears of failures.
   */
  refresh(signal: AbortSignal): Promise<void>;
  /** Hears of every change from now on. */
  watch(listener: (change: ModelChange) => void): void;
}
