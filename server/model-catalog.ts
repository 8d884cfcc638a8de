// Owns the one thing the server knows about where models come from: a catalog to look them up in.
// Types only. It knows neither folders nor manifests nor devices; server/registry.ts does.
import type { ChatModel, ModelRole } from "../runtime/chat-model.ts";
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

/** The served models. Its content does not change while a request runs. */
export interface ModelCatalog {
  /** Every served model, in the order in which they are shown. */
  list(): readonly ChatModel[];
  get(id: string): ChatModel | undefined;
  ready(): CatalogReadiness;
  /** What the models elsewhere were asked and cost; absent where there are none. */
  readonly upstreams?: UpstreamLedger;
  /** Closes every model: refuses new requests, cancels running ones, releases everything. */
  close(): Promise<void>;
}
