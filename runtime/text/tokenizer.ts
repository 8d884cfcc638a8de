// Owns text -> ids and id -> bytes for one model folder; the only file that knows the tokenizer library.
// Control tokens (turn markers and the like) are written by templates alone: text that people typed never becomes one.
// It adds no tokens of its own and knows neither chat templates nor how bytes become characters.
import { setImmediate as nextTurn } from "node:timers/promises";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { type AddedToken, createSplitter, swallowSpace } from "./added-tokens.ts";
import type { Span } from "../engine-api.ts";
import { EngineError } from "../errors.ts";
import { createMergeWord } from "./merge-word.ts";
import {
  type Beginning,
  beginningAt,
  joinPieces,
  leastTokens,
  type PromptPiece,
  type Section,
} from "./prompt-sections.ts";
import { RecentTexts } from "./recent-texts.ts";
import { createTokenBytes } from "./token-bytes.ts";
import { maxUnitsPerToken } from "./token-coverage.ts";
import {
  type ComponentJson,
  isSameAnywhere,
  isScored,
  orBadModel,
  readTokenizerJson,
  type TokenizerJson,
  type VocabularyJson,
  withoutPrefix,
  withoutTokens,
  wordStageOf,
} from "./tokenizer-json.ts";
import { rememberWords } from "./word-ids.ts";

/** What `encodeWithin` made of a prompt. */
export interface EncodedPrompt {
  readonly ids: readonly number[];
  /** Tokens of the prompt; at least that many when `isComplete` is false. */
  readonly tokens: number;
  /** Where the prompt holds ids that the model once computed one at a time. */
  readonly decodedSpans: readonly Span[];
  /** False when encoding stopped because the prompt is longer than the limit. */
  readonly isComplete: boolean;
}

export interface Tokenizer {
  /** Highest id plus one. */
  readonly vocabSize: number;
  /** Ids that text can only become where a template wrote them; their text is not part of what a model says. */
  readonly controlIds: ReadonlySet<number>;
  /** Strings of the control tokens. */
  readonly controlTokens: readonly string[];
  readonly droppedLeadingSpaces: number;
  encode(pieces: readonly PromptPiece[]): number[];
  /** Like `encode`, but lets others run in between, and gives up once there are more than `maxTokens`. */
  encodeWithin(pieces: readonly PromptPiece[], maxTokens: number, signal: AbortSignal): Promise<EncodedPrompt>;
  /** Bytes a token stands for; none for ids that the vocabulary does not have. */
  bytesOf(id: number): Uint8Array;
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
}

// What is used of the library, which ships types that Node's module resolution cannot find.
interface Library {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string, options: { section_index: number }): string[] } | null;
  readonly model: {
    _call(words: string[]): string[];
    readonly tokens_to_ids: Map<string, number>;
    readonly vocab: readonly (string | undefined)[];
    readonly unk_token_id: number | undefined;
    readonly fuse_unk: boolean;
  };
}

const unitsPerStep = 1024;
const sliceMs = 4;
const noBytes = new Uint8Array(0);

/** Loads the tokenizer of a model folder; `controlIds` are control tokens besides those that the file marks as special. */
export async function loadTokenizer(
  folder: string,
  controlIds: Iterable<number> = [],
  rememberedUnits = 0,
): Promise<Tokenizer> {
  const json = await readTokenizerJson(folder);
  return orBadModel(() => createTokenizer(json, controlIds, rememberedUnits));
}

/**
 * Builds a tokenizer from the checked content of a tokenizer.json. What the latest texts became is remembered as far as they have
 * no more than `rememberedUnits` together.
 */
export function createTokenizer(
  json: TokenizerJson,
  moreControlIds: Iterable<number> = [],
  rememberedUnits = 0,
): Tokenizer {
  const tokens = tokensById(json);
  const controls = findControls(json, tokens, moreControlIds);
  const controlIds = new Set(controls.map((token) => token.id));
  const loose = json.addedTokens.filter((token) => !controlIds.has(token.id));
  const { whole, perWord: wordStage } = wordStageOf(json.preTokenizer);
  const cutting = { ...json, preTokenizer: whole };
  const vocabulary = withoutTokens(json.model, new Set(controls.map((token) => token.content)));
  const library = buildLibrary(cutting, vocabulary);
  const continuation = buildContinuation(cutting, library);
  const perWord =
    wordStage === null ? null : buildLibrary({ ...json, preTokenizer: wordStage }, noVocabulary).pre_tokenizer;
  const { normalizer, model } = library;
  const isNormalized = (token: AddedToken) => normalizer !== null && token.normalized;

  const splitMarkup = createSplitter(controls);
  const splitLoose = createSplitter(loose.filter((token) => !isNormalized(token)));
  const splitNormalized = createSplitter(
    loose.filter(isNormalized).map((token) => {
      const content = continuation.normalizer?.normalize(token.content) ?? token.content;
      return Object.assign({}, token, { content });
    }),
  );
  const addedIds = new Map([...loose, ...controls].map((token) => [token.content, token.id]));
  const maxUnits = maxUnitsPerToken(json);
  const rules = createTokenBytes(json.decoder);
  const bytes: Uint8Array[] = [];

  const idsOf = (words: string[]) =>
    model._call(words).flatMap((token) => model.tokens_to_ids.get(token) ?? model.unk_token_id ?? []);
  const mergeWord = createMergeWord(vocabulary);
  const idsOfWord = rememberWords((word) => {
    const [said = word] = perWord?.pre_tokenize(word, { section_index: 1 }) ?? [];
    return mergeWord?.(said) ?? idsOf([said]);
  });

  function* encodeWords(words: string[], ids: number[]): Generator<void> {
    if (model.fuse_unk) {
      // Unknown tokens that are fused may be fused across words, so all words stay together.
      for (const id of idsOf(words)) ids.push(id);
      yield;
      return;
    }
    let units = 0;
    for (const word of words) {
      for (const id of idsOfWord(word)) ids.push(id);
      units += word.length;
      if (units < unitsPerStep) continue;
      units = 0;
      yield;
    }
    yield;
  }

  function* encodeText(text: string, beginning: Beginning, ids: number[]): Generator<void> {
    for (const [index, part] of swallowSpace<AddedToken>(splitLoose(text)).entries()) {
      if (typeof part !== "string") {
        ids.push(part.id);
        continue;
      }
      const pipeline = index === 0 && beginning === "continuation" ? continuation : library;
      const section_index = index === 0 && beginning === "prompt" ? 0 : 1;
      const normalized = pipeline.normalizer?.normalize(part) ?? part;
      for (const subpart of swallowSpace<AddedToken>(splitNormalized(normalized))) {
        if (typeof subpart !== "string") ids.push(subpart.id);
        else yield* encodeWords(pipeline.pre_tokenizer?.pre_tokenize(subpart, { section_index }) ?? [subpart], ids);
      }
    }
  }

  const recent = new RecentTexts(rememberedUnits);
  const isSamePlaced = isSameAnywhere(json);
  const encodeSection = rememberedUnits === 0 ? encodeText : recall;

  function* recall(text: string, beginning: Beginning, ids: number[]): Generator<void> {
    const key = isSamePlaced ? text : `${beginning} ${text}`;
    const known = recent.get(key);
    if (known === undefined) {
      const from = ids.length;
      yield* encodeText(text, beginning, ids);
      recent.set(key, ids.slice(from));
    } else {
      for (const id of known) ids.push(id);
    }
  }

  function* encodeSections(sections: readonly Section[], ids: number[], spans: Span[] = []): Generator<void> {
    for (const [index, section] of sections.entries()) {
      if (typeof section === "string") yield* encodeSection(section, beginningAt(sections, index), ids);
      else if ("ids" in section) {
        spans.push({ from: ids.length, to: ids.length + section.decodedTokens });
        for (const id of section.ids) ids.push(id);
      } else ids.push(section.id);
    }
  }

  return {
    vocabSize: tokens.length,
    controlIds,
    controlTokens: controls.map((token) => token.content),
    droppedLeadingSpaces: rules.droppedLeadingSpaces,
    encode(pieces) {
      const ids: number[] = [];
      const steps = encodeSections(joinPieces(pieces, splitMarkup), ids);
      while (steps.next().done !== true);
      return ids;
    },
    async encodeWithin(pieces, maxTokens, signal) {
      const ids: number[] = [];
      const sections = joinPieces(pieces, splitMarkup);
      const atLeast = sections.reduce((sum, section) => sum + leastTokens(section, maxUnits), 0);
      const decodedSpans: Span[] = [];
      if (atLeast > maxTokens) return { ids, tokens: atLeast, decodedSpans, isComplete: false };
      let sliceStart = performance.now();
      for (const _ of encodeSections(sections, ids, decodedSpans)) {
        if (ids.length > maxTokens) return { ids, tokens: ids.length, decodedSpans, isComplete: false };
        if (performance.now() - sliceStart < sliceMs) continue;
        await nextTurn();
        if (signal.aborted) throw new EngineError("cancelled", "The request was cancelled.");
        sliceStart = performance.now();
      }
      return { ids, tokens: ids.length, decodedSpans, isComplete: true };
    },
    bytesOf(id) {
      const token = tokens[id];
      return token === undefined ? noBytes : (bytes[id] ??= rules.toBytes(token));
    },
    idOf: (token) => addedIds.get(token) ?? model.tokens_to_ids.get(token),
    tokenOf: (id) => tokens[id],
  };
}

function tokensById(json: TokenizerJson): (string | undefined)[] {
  const { vocab } = json.model;
  const tokens: (string | undefined)[] = [];
  if (isScored(vocab)) for (const [token] of vocab) tokens.push(token);
  else for (const [token, id] of Object.entries(vocab)) tokens[id] = token;
  for (const { id, content } of json.addedTokens) tokens[id] = content;
  return tokens;
}

function findControls(
  json: TokenizerJson,
  tokens: readonly (string | undefined)[],
  more: Iterable<number>,
): AddedToken[] {
  const controls = new Map(json.addedTokens.filter((token) => token.special).map((token) => [token.id, token]));
  for (const id of more) {
    const content = tokens[id];
    if (content === undefined || controls.has(id)) continue;
    const added = json.addedTokens.find((token) => token.id === id);
    const bare = { id, content, special: true, normalized: false, lstrip: false, rstrip: false, singleWord: false };
    controls.set(id, added ?? bare);
  }
  return [...controls.values()];
}

/** For libraries whose pipeline alone is used. */
const noVocabulary: VocabularyJson = { type: "BPE", vocab: {}, merges: [] };

/** Added tokens are left out: finding them is done here, because the library cannot tell markup from content. */
function buildLibrary(json: TokenizerJson, model: VocabularyJson): Library {
  const parts = { normalizer: json.normalizer, pre_tokenizer: json.preTokenizer, post_processor: null, decoder: null };
  return new LibraryTokenizer({ ...parts, model, added_tokens: [] }, {}) as Library;
}

function buildContinuation(json: TokenizerJson, library: Library): Pick<Library, "normalizer" | "pre_tokenizer"> {
  const normalizer = withoutPrefix(json.normalizer);
  const preTokenizer = withoutPrefix(json.preTokenizer);
  if (isSame(normalizer, json.normalizer) && isSame(preTokenizer, json.preTokenizer)) return library;
  return buildLibrary({ ...json, normalizer, preTokenizer }, noVocabulary);
}

const isSame = (a: ComponentJson | null, b: ComponentJson | null) => JSON.stringify(a) === JSON.stringify(b);
