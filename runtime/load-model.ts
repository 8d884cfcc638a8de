// Owns how a folder becomes a model that answers: manifest, checksums, tokenizer, template, role, engine, in that order,
// so that what is cheap to find wrong is found first. It knows no catalog: server/registry.ts does.
import type { ChatModel, EngineObserver } from "./chat-model.ts";
import { checkRole, type ChatTemplate, createChatTemplate } from "./text/chat-template.ts";
import { readChatTemplateFiles } from "./text/chat-template-files.ts";
import type { TokenEngine } from "./engine-api.ts";
import { generationConfigName, orPlainSampling, readRecommendedSampling } from "./generation-config.ts";
import { badModel } from "./importer/json.ts";
import { createLocalModel } from "./local-model.ts";
import { inFolder, type Manifest, manifestName, readManifest, verifyFiles } from "./manifest.ts";
import { type EngineSettings, openEngine } from "./engine/open-engine.ts";
import { loadTokenizer, type Tokenizer } from "./text/tokenizer.ts";
import { tokenizerName } from "./text/tokenizer-json.ts";

export interface LoadOptions {
  /** All but what `batchInvariant` decides. */
  readonly settings: Omit<EngineSettings, "isBatchInvariant">;
  /** Whether a lone sequence is computed as a row of two; `auto` follows the manifest where there are two slots. */
  readonly batchInvariant: "auto" | "on" | "off";
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
  const { tokenizer, template, recommendedSampling } = await readTextSide(folder, manifest);
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
    },
    engine: opened.engine,
    tokenizer,
    template,
    stopIds: manifest.tokens.stopIds,
    endOfConversationId: manifest.tokens.endOfConversationId,
  });
}

/** What a folder's text files make. */
interface TextSide {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly recommendedSampling: ReturnType<typeof orPlainSampling>;
}

/** Loads everything of a folder that needs no device. Throws EngineError("bad_model") naming the folder. */
async function readTextSide(folder: string, manifest: Manifest): Promise<TextSide> {
  try {
    const { tokens, network, role } = manifest;
    const meaningful = [...tokens.stopIds, tokens.bosId, tokens.padId].filter((id) => id !== null);
    const tokenizer = await loadTokenizer(folder, meaningful);
    if (tokenizer.vocabSize > network.vocabSize) {
      throw badModel(
        tokenizerName,
        `has ids up to ${tokenizer.vocabSize - 1}, and the network knows ${network.vocabSize} tokens`,
      );
    }
    const { source, specialTokens, files } = await readChatTemplateFiles(folder);
    const template = createChatTemplate({ source, specialTokens, controlTokens: tokenizer.controlTokens, role });
    checkRole(template, role);
    const recommended = await readRecommendedSampling(folder);
    // What shapes answers must be part of the model's hash.
    const needed = [tokenizerName, ...files, ...(recommended === null ? [] : [generationConfigName])];
    const unlisted = needed.find((name) => !manifest.files.has(name));
    if (unlisted !== undefined) throw badModel(manifestName, `field files does not list ${unlisted}`);
    return { tokenizer, template, recommendedSampling: orPlainSampling(recommended) };
  } catch (cause) {
    throw inFolder(folder, cause);
  }
}
