// Owns what training needs of a model folder: its text side, its special ids, and the hashes that tie an export to it.
// It knows neither conversations nor formats.
import type { ModelRole } from "../../runtime/chat-model.ts";
import { badModel } from "../../runtime/importer/json.ts";
import { manifestName, readManifest } from "../../runtime/manifest.ts";
import type { ChatTemplate } from "../../runtime/text/chat-template.ts";
import { readChatTemplateFiles } from "../../runtime/text/chat-template-files.ts";
import { tokenizerName } from "../../runtime/text/tokenizer-json.ts";
import type { Tokenizer } from "../../runtime/text/tokenizer.ts";
import { readTextSide } from "../../runtime/text-side.ts";

export interface ModelText {
  readonly id: string;
  readonly folder: string;
  /** Whose turn the model writes when it is served. */
  readonly role: ModelRole;
  readonly modelHash: string;
  readonly licence: string;
  readonly tokenizerSha256: string;
  readonly templateSource: string;
  readonly templateHash: string;
  readonly specialTokens: Readonly<Record<string, string>>;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly stopIds: readonly number[];
  readonly endOfConversationId: number | null;
  readonly padId: number | null;
  readonly contextWindow: number;
}

/** UTF-16 units of the latest texts whose ids are remembered: splitting counts the tokens of a session whose examples are made next. */
const rememberedUnits = 2 ** 20;

/** Opens a model folder. Throws EngineError("bad_model") naming it. */
export async function openModelText(folder: string): Promise<ModelText> {
  const manifest = await readManifest(folder);
  const { tokenizer, template } = await readTextSide(folder, manifest, rememberedUnits);
  const { source, specialTokens } = await readChatTemplateFiles(folder);
  const tokenizerFile = manifest.files.get(tokenizerName);
  if (tokenizerFile === undefined) throw badModel(manifestName, `field files does not list ${tokenizerName}`);
  return {
    id: manifest.id,
    folder,
    role: manifest.role,
    modelHash: manifest.hash,
    licence: manifest.licence,
    tokenizerSha256: tokenizerFile.sha256,
    templateSource: source,
    templateHash: template.hash,
    specialTokens,
    tokenizer,
    template,
    stopIds: manifest.tokens.stopIds,
    endOfConversationId: manifest.tokens.endOfConversationId,
    padId: manifest.tokens.padId,
    contextWindow: manifest.contextWindow,
  };
}
