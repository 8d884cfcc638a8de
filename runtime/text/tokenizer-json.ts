// Owns reading `tokenizer.json`: its checked shape, and the two rewritings that safe encoding needs.
// It does not encode anything: runtime/text/tokenizer.ts does.
import { join } from "node:path";
import type { AddedToken } from "./added-tokens.ts";
import { badModel, readJsonObject } from "../importer/json.ts";

export const tokenizerName = "tokenizer.json";

/** A part of the pipeline as the file describes it. */
export interface ComponentJson {
  readonly type: string;
  readonly [field: string]: unknown;
}

type Merge = string | readonly [string, string];

export interface VocabularyJson {
  readonly type?: string;
  /** Token → id, or (Unigram) pairs of token and score in the order of ids. */
  readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  readonly merges?: readonly Merge[];
  readonly unk_token?: string | null;
  readonly byte_fallback?: boolean;
  readonly fuse_unk?: boolean;
  readonly ignore_merges?: boolean;
}

export interface TokenizerJson {
  readonly model: VocabularyJson;
  readonly normalizer: ComponentJson | null;
  readonly preTokenizer: ComponentJson | null;
  readonly decoder: ComponentJson | null;
  readonly addedTokens: readonly AddedToken[];
}

/** Reads and checks a folder's tokenizer.json. Throws EngineError("bad_model") naming file and field. */
export async function readTokenizerJson(folder: string): Promise<TokenizerJson> {
  const content = await readJsonObject(join(folder, tokenizerName));
  return orBadModel(() => parseTokenizerJson(content));
}

/** Turns what is wrong with a tokenizer.json into the error for a broken model. */
export function orBadModel<Result>(make: () => Result): Result {
  try {
    return make();
  } catch (cause) {
    throw badModel(tokenizerName, cause instanceof Error ? cause.message : String(cause));
  }
}

/** Checks the parsed content of a tokenizer.json. Throws a sentence that names the field. */
export function parseTokenizerJson(content: unknown): TokenizerJson {
  const file = asRecord(content, "the file");
  const model = asRecord(file["model"], "model");
  const { vocab, merges } = model;
  if (typeof vocab !== "object" || vocab === null) throw new Error("model.vocab must be an object or a list.");
  if (!Array.isArray(vocab) && !Array.isArray(merges)) throw new Error("model.merges must be a list.");
  const addedTokens = file["added_tokens"] ?? [];
  if (!Array.isArray(addedTokens)) throw new Error("added_tokens must be a list.");
  return {
    model: model as unknown as VocabularyJson,
    normalizer: asComponent(file["normalizer"], "normalizer"),
    preTokenizer: asComponent(file["pre_tokenizer"], "pre_tokenizer"),
    decoder: asComponent(file["decoder"], "decoder"),
    addedTokens: addedTokens.map((token: unknown, index) => asAddedToken(token, `added_tokens[${index}]`)),
  };
}

/**
 * The vocabulary without some tokens, so that no text can become one of them. Ids stay as they are; a token for unknown
 * text keeps working under a name that no text can hold.
 */
export function withoutTokens(model: VocabularyJson, forbidden: ReadonlySet<string>): VocabularyJson {
  if (isScored(model.vocab)) {
    return {
      ...model,
      vocab: model.vocab.map(
        ([token, score], id) => [forbidden.has(token) ? unreachableName(id) : token, score] as const,
      ),
    };
  }
  const vocab = Object.fromEntries(Object.entries(model.vocab).filter(([token]) => !forbidden.has(token)));
  const merges = (model.merges ?? []).filter((merge) => !forbidden.has(mergedToken(merge)));
  const unknown = model.unk_token;
  if (unknown === undefined || unknown === null || !forbidden.has(unknown)) return { ...model, vocab, merges };
  const unknownId = model.vocab[unknown];
  if (unknownId === undefined) return { ...model, vocab, merges };
  vocab[unreachableName(unknownId)] = unknownId;
  return { ...model, vocab, merges, unk_token: unreachableName(unknownId) };
}

/** The component as it treats text that continues other text: it puts no space before it. null when nothing is left. */
export function withoutPrefix(component: ComponentJson | null): ComponentJson | null {
  if (component === null) return null;
  switch (component.type) {
    case "Prepend":
      return null;
    case "Metaspace":
      return { ...component, prepend_scheme: "never" };
    case "ByteLevel":
      return { ...component, add_prefix_space: false };
    case "Sequence":
      return mapSequence(component);
    default:
      return component;
  }
}

/** Whether a text has the same ids wherever it begins: nothing is put before a prompt's or a section's text alone. */
export function isSameAnywhere({
  normalizer,
  preTokenizer,
}: Pick<TokenizerJson, "normalizer" | "preTokenizer">): boolean {
  return [...membersOf(normalizer), ...membersOf(preTokenizer)].every((member) => {
    if (member.type === "ByteLevel") return member["add_prefix_space"] === false;
    return member.type !== "Prepend" && (member.type !== "Metaspace" || member["prepend_scheme"] === "never");
  });
}

/**
 * A pre-tokenizer in two: what cuts a text into words, and what is done to each word whatever stands beside it (null where
 * nothing is). One after the other they are the whole.
 */
export function wordStageOf(component: ComponentJson | null): {
  readonly whole: ComponentJson | null;
  readonly perWord: ComponentJson | null;
} {
  const members = component?.type === "Sequence" ? (component["pretokenizers"] as ComponentJson[]) : [];
  const last = members.at(-1);
  const isPerWord = last?.type === "ByteLevel" && last["use_regex"] === false && last["add_prefix_space"] === false;
  if (component === null || last === undefined || members.length === 1 || !isPerWord) {
    return { whole: component, perWord: null };
  }
  return { whole: { ...component, pretokenizers: members.slice(0, -1) }, perWord: last };
}

/** Whether a vocabulary is a list of tokens with scores, in the order of ids. */
export function isScored(vocab: VocabularyJson["vocab"]): vocab is readonly (readonly [string, number])[] {
  return Array.isArray(vocab);
}

/** The members of a component and of those inside it, in order; a component that is no sequence is its only member. */
export function membersOf(component: ComponentJson | null): readonly ComponentJson[] {
  if (component === null) return [];
  if (component.type !== "Sequence") return [component];
  return sequenceFields
    .flatMap((field) => component[field] ?? [])
    .flatMap((member) => membersOf(member as ComponentJson));
}

// The same idea has three names, one for each kind of component.
const sequenceFields = ["normalizers", "pretokenizers", "decoders"];

function mapSequence(sequence: ComponentJson): ComponentJson {
  const entries = Object.entries(sequence).map(([field, value]) => [
    field,
    sequenceFields.includes(field)
      ? (value as ComponentJson[]).map(withoutPrefix).filter((member) => member !== null)
      : value,
  ]);
  return Object.fromEntries(entries) as ComponentJson;
}

// A lone surrogate cannot occur in the well-formed text that is encoded.
const unreachableName = (id: number) => `\uD800${id}`;

const mergedToken = (merge: Merge) => (typeof merge === "string" ? merge.replace(" ", "") : merge.join(""));

function asRecord(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`${name} must be an object.`);
  return value as Record<string, unknown>;
}

function asComponent(value: unknown, name: string): ComponentJson | null {
  if (value === null || value === undefined) return null;
  const component = asRecord(value, name);
  if (typeof component["type"] !== "string") throw new Error(`${name}.type must be a string.`);
  for (const field of sequenceFields) {
    const members = component[field];
    if (members === undefined) continue;
    if (!Array.isArray(members)) throw new Error(`${name}.${field} must be a list.`);
    for (const [index, member] of members.entries()) asComponent(member, `${name}.${field}[${index}]`);
  }
  return component as ComponentJson;
}

function asAddedToken(value: unknown, name: string): AddedToken {
  const token = asRecord(value, name);
  const { id, content } = token;
  if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) throw new Error(`${name}.id must be a token id.`);
  if (typeof content !== "string") throw new Error(`${name}.content must be a string.`);
  const special = token["special"] === true;
  return {
    id,
    content,
    special,
    lstrip: token["lstrip"] === true,
    rstrip: token["rstrip"] === true,
    singleWord: token["single_word"] === true,
    normalized: typeof token["normalized"] === "boolean" ? token["normalized"] : !special,
  };
}
