// Owns which model a command speaks to: one at an endpoint, or a model folder loaded into this process.
// It does not know what the model is asked.
import { access } from "node:fs/promises";
import { join } from "node:path";
import type { ChatModel, EngineObserver } from "../../runtime/chat-model.ts";
import { manifestName } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { openEndpoint } from "../judge/endpoint.ts";

/** Where models can be loaded. */
export const devices = ["auto", "cpu", "cuda", "webgpu"] as const;

export interface ModelChoice {
  /** With a url the name there; otherwise a model folder, or the name of one in `models/`. */
  readonly model: string;
  /** Of an OpenAI-compatible endpoint. */
  readonly url: string | null;
  readonly apiKey: string | null;
  readonly device: (typeof devices)[number];
  /** null: one per core. */
  readonly threads: number | null;
  /** Requests that may be in progress at once. */
  readonly concurrency: number;
}

const unobserved: EngineObserver = { onStep() {}, onSequenceEnd() {}, onState() {} };

/** The caller closes the model. `onNote` hears why another device was taken than hoped for. */
export async function openModel(
  choice: ModelChoice,
  onNote: (note: string) => void,
  signal: AbortSignal,
): Promise<ChatModel> {
  const { model, url, apiKey, device, threads, concurrency } = choice;
  if (url !== null) return openEndpoint({ baseUrl: withVersion(url), model, apiKey });
  const folder = await findFolder(model);
  // Only now: neither help nor a judge elsewhere should need the native library.
  const { loadModel } = await import("../../runtime/load-model.ts");
  const settings = {
    device,
    threads,
    isSpinning: false,
    libraryPath: null,
    // The second row makes a result independent of what runs beside it.
    slots: Math.max(2, concurrency),
    contextWindow: null,
    prefillChunkTokens: 256,
    maxWaitingRequests: 1024,
    maxWaitingTokens: Number.MAX_SAFE_INTEGER,
  };
  return loadModel(folder, { settings, batchInvariant: "auto", onDeviceFallback: onNote }, unobserved, signal);
}

async function findFolder(model: string): Promise<string> {
  const candidates = [model, join(import.meta.dirname, "..", "..", "models", modelFolderName(model))];
  for (const folder of candidates) {
    const isFolder = await access(join(folder, manifestName)).then(
      () => true,
      () => false,
    );
    if (isFolder) return folder;
  }
  throw new Error(`There is no model ${model}: no folder of that name, here or in models/, has a ${manifestName}.`);
}

/** An address without a path is the server's; the API is under /v1. */
function withVersion(url: string): string {
  if (!URL.canParse(url)) throw new Error(`The url must be one such as http://127.0.0.1:8080/v1, not ${url}.`);
  const { pathname } = new URL(url);
  return pathname === "/" ? new URL("/v1", url).href : url;
}
