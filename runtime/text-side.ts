// Owns everything of a model folder that needs no device: its tokenizer, its chat template, and what it recommends.
// Serving, training exports and imports all read a folder's text side here, so that all of them write the same ids.
import { checkRole, type ChatTemplate, createChatTemplate } from "./text/chat-template.ts";
import { readChatTemplateFiles } from "./text/chat-template-files.ts";
import { generationConfigName, orPlainSampling, readRecommendedSampling } from "./generation-config.ts";
import { badModel } from "./importer/json.ts";
import { inFolder, type Manifest, manifestName } from "./manifest.ts";
import { loadTokenizer, type Tokenizer } from "./text/tokenizer.ts";
import type { TokenizerShelf } from "./text/tokenizer-shelf.ts";
import { tokenizerName } from "./text/tokenizer-json.ts";

/** What a folder's text files make. */
export interface TextSide {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly recommendedSampling: ReturnType<typeof orPlainSampling>;
}

/**
 * Loads everything of a folder that needs no device; its tokenizer remembers the latest texts, `rememberedUnits` of them together.
 * With a shelf it may be another model's, and remembers none. The folder's files must be those of its manifest then.
 * Throws EngineError("bad_model") naming the folder.
 */
export async function readTextSide(
  folder: string,
  manifest: Manifest,
  rememberedUnits = 0,
  shelf: TokenizerShelf | null = null,
): Promise<TextSide> {
  try {
    const { tokens, network, role } = manifest;
    const meaningful = [...tokens.stopIds, tokens.bosId, tokens.padId].filter((id) => id !== null);
    const sha256 = manifest.files.get(tokenizerName)?.sha256;
    const tokenizer =
      shelf === null || sha256 === undefined
        ? await loadTokenizer(folder, meaningful, rememberedUnits)
        : await shelf.load(folder, sha256, meaningful);
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
