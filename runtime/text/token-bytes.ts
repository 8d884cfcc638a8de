// Owns what a token is as bytes of text: byte-level alphabets, byte-fallback tokens, `▁` for a space.
// It does not put tokens together: runtime/text-stream.ts does.
import { type ComponentJson, membersOf } from "./tokenizer-json.ts";

/** How tokens become text. */
export interface TokenBytes {
  /** Bytes that the token stands for. */
  readonly toBytes: (token: string) => Uint8Array;
  /** Most spaces that are dropped at the very start of a text, because encoding put them there. */
  readonly droppedLeadingSpaces: number;
}

/** Reads the rules from the decoder part of a tokenizer.json. Throws a sentence that names what is not supported. */
export function createTokenBytes(decoder: ComponentJson | null): TokenBytes {
  if (decoder === null) throw new Error("decoder is missing, so tokens cannot be turned into text.");
  const rewrites: ((text: string) => string)[] = [];
  let isByteLevel = false;
  let hasByteFallback = false;
  let isFused = false;
  let droppedLeadingSpaces = 0;
  for (const member of membersOf(decoder)) {
    switch (member.type) {
      case "ByteLevel":
        isByteLevel = true;
        break;
      case "ByteFallback":
        hasByteFallback = true;
        break;
      case "Fuse":
        isFused = true;
        break;
      case "Metaspace":
        rewrites.push(replacing(textField(member, "replacement", "▁"), " "));
        if (member["prepend_scheme"] !== "never" && member["add_prefix_space"] !== false) droppedLeadingSpaces = 1;
        break;
      case "Replace":
        if (isFused) throw new Error("decoder: Replace after Fuse is not supported.");
        rewrites.push(replacing(patternOf(member), textField(member, "content", "")));
        break;
      case "Strip":
        if (!isFused || textField(member, "content", " ") !== " " || (member["stop"] ?? 0) !== 0) {
          throw new Error("decoder: Strip is supported for spaces at the start, after Fuse.");
        }
        droppedLeadingSpaces = Number(member["start"] ?? 0);
        break;
      default:
        throw new Error(`decoder: ${member.type} is not supported.`);
    }
  }
  const encoder = new TextEncoder();
  const toBytes = (token: string) => {
    if (isByteLevel) return byteLevelBytes(token) ?? encoder.encode(token);
    const byte = hasByteFallback ? byteOf(token) : null;
    if (byte !== null) return Uint8Array.of(byte);
    return encoder.encode(rewrites.reduce((text, rewrite) => rewrite(text), token));
  };
  return { toBytes, droppedLeadingSpaces };
}

/** The 256 characters that stand for the 256 bytes in byte-level vocabularies, in the order of bytes. */
export const byteAlphabet: readonly string[] = buildByteAlphabet();

/** The name of the token that stands for one byte where unknown text falls back to bytes. */
export const byteTokenName = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

const byteOfCharacter = new Map(byteAlphabet.map((character, byte) => [character, byte]));

// Printable Latin-1 stands for itself; what cannot be seen is moved, in order, to 256 and above.
function buildByteAlphabet(): string[] {
  let moved = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(isPrintable ? byte : moved++);
  });
}

function byteLevelBytes(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let at = 0; at < token.length; at++) {
    const byte = byteOfCharacter.get(token.charAt(at));
    if (byte === undefined) return null;
    bytes[at] = byte;
  }
  return bytes;
}

function byteOf(token: string): number | null {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : null;
}

const replacing = (from: string, to: string) => (text: string) => text.replaceAll(from, () => to);

function textField(member: ComponentJson, field: string, fallback: string): string {
  const value = member[field] ?? fallback;
  if (typeof value !== "string") throw new Error(`decoder: ${member.type}.${field} must be a string.`);
  return value;
}

function patternOf(member: ComponentJson): string {
  const pattern = member["pattern"] as { String?: unknown } | undefined;
  if (typeof pattern?.String !== "string") throw new Error("decoder: Replace is supported for plain strings.");
  return pattern.String;
}
