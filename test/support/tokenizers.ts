// Tokenizers for tests: the golden ones of test/fixtures/tokenizers, and a tiny byte-level one with turn markers.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { byteAlphabet } from "../../runtime/text/token-bytes.ts";
import { createTokenizer, type Tokenizer } from "../../runtime/text/tokenizer.ts";
import { parseTokenizerJson } from "../../runtime/text/tokenizer-json.ts";

export interface TokenizerCase {
  readonly text: string;
  readonly ids: readonly number[];
}

export const goldenTokenizers = ["stories260K", "gpt2", "phi-3-mini"] as const;
export type GoldenTokenizer = (typeof goldenTokenizers)[number];

/** Path of a file among the golden ones. */
export const goldenPath = (name: string) => fileURLToPath(new URL(`../fixtures/tokenizers/${name}`, import.meta.url));

/** Parsed content of a golden file. */
export const goldenJson = (name: string): unknown => JSON.parse(readFileSync(goldenPath(name), "utf8"));

export const goldenTokenizer = (name: GoldenTokenizer): Tokenizer =>
  createTokenizer(parseTokenizerJson(goldenJson(`${name}/tokenizer.json`)));

export const goldenCases = (name: GoldenTokenizer) => goldenJson(`${name}/cases.json`) as readonly TokenizerCase[];

/** Turn markers of the tiny tokenizer, in the order of their ids. */
export const tinyControls = ["<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|bye|>"] as const;

/** Ids of the tiny tokenizer's control tokens. */
export const tiny = { begin: 0, system: 1, user: 2, assistant: 3, end: 4, bye: 5 } as const;

const merges = ["h i", "Ġ h", "Ġh i", "o k", "y o", "yo u"];

/** A byte-level tokenizer.json: the markers, 256 letters, and the merges that make ` hi`, `ok` and `you`. */
export function tinyTokenizerJson(): Record<string, unknown> {
  const tokens = [...tinyControls, ...byteAlphabet, ...merges.map((merge) => merge.replace(" ", ""))];
  return {
    version: "1.0",
    added_tokens: tinyControls.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  };
}

export const tinyTokenizer = (): Tokenizer => createTokenizer(parseTokenizerJson(tinyTokenizerJson()));

/** A template over those markers that opens one role's turn. */
export const tinyTemplate = (role: "user" | "assistant") =>
  "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}" +
  `{% if add_generation_prompt %}{{ '<|${role}|>' }}{% endif %}`;

/** Ids of text that no merge touches, letter by letter. */
export const lettersOf = (text: string) =>
  Array.from(new TextEncoder().encode(text), (byte) => tinyControls.length + byte);
