// Which token ids have a meaning to the engine: those that end a turn or a conversation, the first one, the padding.
// Collected from the files in which checkpoints scatter them, and checked against the vocabulary.
// It knows no tokenization.
import { join } from "node:path";
import { badModel, isObject, readJsonObject, readOptionalJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";

const END_OF_CONVERSATION = "<|endconversation|>";

export interface SpecialTokens {
  /** Sampling one of them ends a turn. Ascending. */
  readonly stopIds: readonly number[];
  readonly endOfConversationId: number | null;
  readonly bosId: number | null;
  readonly padId: number | null;
}

/**
 * Reads the token files of a checkpoint folder. `endOfConversation` names a token that must exist; null looks for the
 * usual one. Throws `bad_model` for contradictions and for a model that could never stop.
 */
export async function readSpecialTokens(
  folder: string,
  config: JsonObject,
  vocabSize: number,
  endOfConversation: string | null,
): Promise<SpecialTokens> {
  const tokenizer = await readJsonObject(join(folder, "tokenizer.json"));
  const tokenizerConfig = (await readOptionalJsonObject(join(folder, "tokenizer_config.json"))) ?? {};
  const generation = (await readOptionalJsonObject(join(folder, "generation_config.json"))) ?? {};
  const added = addedTokens(tokenizer);
  assertVocabulary(tokenizer, added, vocabSize);

  const endOfConversationId = findEndOfConversation(added, endOfConversation);
  const fromGeneration = ids(generation["eos_token_id"], "generation_config.json", "eos_token_id", vocabSize);
  const fromConfig = ids(config["eos_token_id"], "config.json", "eos_token_id", vocabSize);
  const stopIds = new Set(fromGeneration.length > 0 ? fromGeneration : fromConfig);
  if (endOfConversationId !== null) stopIds.add(endOfConversationId);
  if (stopIds.size === 0) throw badModel("config.json", "field eos_token_id is missing: the model could never stop");

  const named = (field: string): number | null | undefined => {
    const token = tokenizerConfig[field];
    if (token === undefined) return undefined;
    const content = isObject(token) ? token["content"] : token;
    return typeof content === "string" ? (added.get(content) ?? null) : null;
  };
  const single = (field: string) => ids(config[field], "config.json", field, vocabSize)[0] ?? null;
  return {
    stopIds: [...stopIds].toSorted((a, b) => a - b),
    endOfConversationId,
    bosId: named("bos_token") ?? (tokenizerConfig["bos_token"] === null ? null : single("bos_token_id")),
    padId: named("pad_token") ?? single("pad_token_id"),
  };
}

function addedTokens(tokenizer: JsonObject): Map<string, number> {
  const list = tokenizer["added_tokens"] ?? [];
  if (!Array.isArray(list)) throw badModel("tokenizer.json", "field added_tokens must be a list");
  const tokens = new Map<string, number>();
  for (const token of list as readonly unknown[]) {
    if (!isObject(token) || typeof token["content"] !== "string" || !Number.isSafeInteger(token["id"])) {
      throw badModel("tokenizer.json", "field added_tokens holds an entry without content or id");
    }
    tokens.set(token["content"], Number(token["id"]));
  }
  return tokens;
}

/** A tokenizer of another model shows here: it writes ids that the embedding does not have. */
function assertVocabulary(tokenizer: JsonObject, added: ReadonlyMap<string, number>, vocabSize: number): void {
  const model = tokenizer["model"];
  const vocab = isObject(model) ? model["vocab"] : undefined;
  const entries: [string, unknown][] = [...added, ...(isObject(vocab) ? Object.entries(vocab) : [])];
  for (const [token, id] of entries) {
    if (typeof id === "number" && id < vocabSize) continue;
    const name = JSON.stringify(token);
    throw badModel(
      "tokenizer.json",
      `token ${name} has id ${String(id)}, outside config.json's vocab_size ${vocabSize}`,
    );
  }
}

function findEndOfConversation(added: ReadonlyMap<string, number>, wanted: string | null): number | null {
  const id = added.get(wanted ?? END_OF_CONVERSATION);
  if (id === undefined && wanted !== null) {
    throw badModel("tokenizer.json", `field added_tokens has no ${JSON.stringify(wanted)} to end conversations with`);
  }
  return id ?? null;
}

function ids(value: unknown, file: string, field: string, vocabSize: number): number[] {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((id) => {
    if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0 && id < vocabSize) return id;
    throw badModel(file, `field ${field} holds ${JSON.stringify(id)}, which is no id of the vocabulary`);
  });
}
