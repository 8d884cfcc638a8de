// Owns where a model folder keeps its chat template and the names of its special tokens.
// It does not render: runtime/text/chat-template.ts does.
import { join } from "node:path";
import { badModel, isObject, readOptionalJsonObject, readOptionalText } from "../importer/json.ts";

export interface ChatTemplateFiles {
  /** The Jinja source with LF line ends. */
  readonly source: string;
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Names of the files that were read, inside the folder. */
  readonly files: readonly string[];
}

const configName = "tokenizer_config.json";
const templateName = "chat_template.jinja";

/** Reads the template: `chat_template.jinja` before `chat_template` in `tokenizer_config.json`, there "default" of several. */
export async function readChatTemplateFiles(folder: string): Promise<ChatTemplateFiles> {
  const config = await readOptionalJsonObject(join(folder, configName));
  const separate = await readOptionalText(join(folder, templateName));
  const source = separate ?? templateOf(config?.["chat_template"]);
  if (source === null) {
    throw badModel(configName, `field chat_template is missing, and there is no ${templateName} beside it`);
  }
  return {
    // Jinja itself turns CRLF into LF, the engine used here does not.
    source: source.replaceAll("\r\n", "\n"),
    specialTokens: config === null ? {} : specialTokensOf(config),
    files: [...(config === null ? [] : [configName]), ...(separate === null ? [] : [templateName])],
  };
}

function templateOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return null;
  const chosen: unknown = value.find((candidate) => isObject(candidate) && candidate["name"] === "default");
  return isObject(chosen) && typeof chosen["template"] === "string" ? chosen["template"] : null;
}

function specialTokensOf(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries = Object.entries(config).flatMap(([name, value]) => {
    const content = isObject(value) ? value["content"] : value;
    return name.endsWith("_token") && typeof content === "string" ? [[name, content] as const] : [];
  });
  return Object.fromEntries(entries);
}
