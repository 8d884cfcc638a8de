// Owns how a folder becomes a model that answers: manifest, checksums, tokenizer, template, role, engine, in that order,
// so that what is cheap to find wrong is found first. It knows no catalog: server/registry.ts does.
import type { ChatModel, EngineObserver } from "./chat-model.ts";
import type { TokenEngine } from "./engine-api.ts";
import { createLocalModel } from "./local-model.ts";
import { type Manifest, readManifest, verifyFiles } from "./manifest.ts";
import { type EngineSettings, openEngine } from "./engine/open-engine.ts";
import { readTextSide } from "./text-side.ts";
import type { TokenizerShelf } from "./text/tokenizer-shelf.ts";

export interface LoadOptions {
  /** All but what `batchInvariant` decides. */
  readonly settings: Omit<EngineSettings, "isBatchInvariant">;
  /** Whether a lone sequence is computed as a row of two; `auto` follows the manifest where there are two slots. */
  readonly batchInvariant: "auto" | "on" | "off";
  /** Tokenizers of models loaded before, which this one may share. */
  readonly tokenizers?: TokenizerShelf;
  /** Hears why the device `auto` took is not the one hoped for. */
  readonly onDeviceFallback: (reason: string) => void;
}

/** How an engine is opened: `openEngine`, or a stand-in for it. */
export type OpenEngine = (
  folder: string,
  manifest: Manifest,
  settings: EngineSettings,
  observer: EngineObserver,
  onDeviceFallback: (reason: string) => void,
) => Promise<{ readonly engine: TokenEngine; readonly device: string }>;

const ownedBy = "realchat";

/**
 * Loads a model folder; the caller closes the model. Throws EngineError: `bad_model` naming the folder, the file and the
 * field, or whatever opening the engine throws.
 */
export async function loadModel(
  folder: string,
  options: LoadOptions,
  observer: EngineObserver,
  signal: AbortSignal,
  open: OpenEngine = openEngine,
): Promise<ChatModel> {
  const manifest = await readManifest(folder);
  await verifyFiles(folder, manifest, signal);
  const { tokenizer, template, recommendedSampling } = await readTextSide(folder, manifest, 0, options.tokenizers);
  signal.throwIfAborted();
  const { settings, batchInvariant, onDeviceFallback } = options;
  const isBatchInvariant =
    batchInvariant === "on" || (batchInvariant === "auto" && manifest.isBatchInvariant && settings.slots > 1);
  const opened = await open(folder, manifest, { ...settings, isBatchInvariant }, observer, onDeviceFallback);
  return createLocalModel({
    info: {
      id: manifest.id,
      role: manifest.role,
      contextWindow: opened.engine.contextWindow,
      createdAtS: manifest.createdAtS,
      ownedBy,
      device: opened.device,
      precision: manifest.precision,
      modelHash: manifest.hash,
      templateHash: template.hash,
      responseRole: manifest.responseRole,
      vocabSize: opened.engine.vocabSize,
      recommendedSampling,
      provenance: { ...manifest.provenance, licence: manifest.licence },
    },
    engine: opened.engine,
    tokenizer,
    template,
    stopIds: manifest.tokens.stopIds,
    endOfConversationId: manifest.tokens.endOfConversationId,
  });
}
