// Owns one bound: how much text a single token can cover at most, so that a text far too long is refused unread.
// It does not encode. Where a pipeline may drop or squeeze text, there is no bound and it says so.
import { byteAlphabet, byteTokenName } from "./token-bytes.ts";
import { type ComponentJson, isScored, membersOf, type TokenizerJson } from "./tokenizer-json.ts";

/** Most UTF-16 units of input that one token can stand for; Infinity when there is no such bound. */
export function maxUnitsPerToken(json: TokenizerJson): number {
  const shrink = membersOf(json.normalizer).reduce((factor, member) => factor * shrinkFactor(member), 1);
  if (!Number.isFinite(shrink) || !membersOf(json.preTokenizer).every(keepsEverything)) return Number.POSITIVE_INFINITY;
  const tokens = isScored(json.model.vocab) ? json.model.vocab.map(([token]) => token) : Object.keys(json.model.vocab);
  const longest = [...tokens, ...json.addedTokens.map((token) => token.content)].reduce(
    (most, token) => Math.max(most, token.length),
    1,
  );
  return longest * shrink * unknownFactor(json);
}

/** How many times shorter a normalizer can make a text. */
function shrinkFactor(normalizer: ComponentJson): number {
  switch (normalizer.type) {
    case "Prepend":
      return 1;
    case "NFD":
    case "NFKD":
      return 2; // a letter of two units becomes one of a single unit
    case "NFC":
      return 4; // a base and three marks become one letter
    case "NFKC":
      return 8;
    case "Replace": {
      const from = (normalizer["pattern"] as { String?: unknown } | undefined)?.String;
      const to = normalizer["content"];
      const keepsLength = typeof from === "string" && typeof to === "string" && to.length >= from.length;
      return keepsLength ? 1 : Number.POSITIVE_INFINITY;
    }
    default:
      return Number.POSITIVE_INFINITY;
  }
}

function keepsEverything(preTokenizer: ComponentJson): boolean {
  switch (preTokenizer.type) {
    case "ByteLevel":
    case "Metaspace":
    case "Digits":
      return true;
    case "Split":
      return preTokenizer["invert"] !== true && preTokenizer["behavior"] !== "Removed";
    default:
      return false;
  }
}

/** Unknown text must not vanish: it becomes bytes, or one token for each character (two units at most). */
function unknownFactor(json: TokenizerJson): number {
  const { model } = json;
  if (isScored(model.vocab)) return Number.POSITIVE_INFINITY;
  const { vocab } = model;
  const knows = (token: string) => vocab[token] !== undefined;
  const isByteLevel = membersOf(json.preTokenizer).some((member) => member.type === "ByteLevel");
  if (isByteLevel && byteAlphabet.every(knows)) return 1;
  if (model.byte_fallback === true && byteAlphabet.every((_, byte) => knows(byteTokenName(byte)))) return 1;
  const hasUnknownToken = typeof model.unk_token === "string" && model.fuse_unk !== true;
  return hasUnknownToken ? 2 : Number.POSITIVE_INFINITY;
}
