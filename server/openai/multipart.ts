// Owns reading multipart/form-data (RFC 7578) as it comes: parts in their order, each body in pieces, nothing kept but the last piece.
// It does not know what the parts mean.
import { ApiError, excerpt } from "./error.ts";
import { unsupportedType } from "./body.ts";

export interface Part {
  readonly name: string;
  /** null for a plain field. A name that a client gave: never a path. */
  readonly filename: string | null;
  /** To be read before the next part is asked for; what is left of it then is skipped. */
  readonly body: AsyncIterable<Buffer>;
}

const maxHeaderBytes = 16 * 1024;
const maxBoundaryLength = 200;
const headersEnd = Buffer.from("\r\n\r\n");

/** What separates the parts of a body of this content type. Throws ApiError 415 for another type and 400 where it is missing. */
export function boundaryOf(contentType: string | undefined): string {
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type !== "multipart/form-data") throw unsupportedType(type, "multipart/form-data");
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (boundary !== undefined && boundary.length <= maxBoundaryLength) return boundary;
  throw malformed("its content type names no boundary");
}

/** The parts of a body. Throws ApiError 400 where it is none. */
export async function* readParts(
  chunks: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<Part, void, undefined> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    const reader = new PartReader(source, boundary);
    for (let head = await reader.next(); head !== null; head = await reader.next()) {
      yield { ...head, body: reader.body() };
    }
  } finally {
    await source.return?.(undefined);
  }
}

/** The text of a plain field. Throws ApiError 400 where it is longer than `maxBytes` or no UTF-8. */
export async function readField({ name, body }: Part, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    const message = `Invalid '${excerpt(name)}': at most ${maxBytes} bytes are accepted.`;
    if (bytes > maxBytes) throw new ApiError(400, message, { param: excerpt(name), code: "string_above_max_length" });
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

class PartReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #delimiter: Buffer;
  /** What was read and is not yet handed on. The first boundary has no line before it, so that one is put there. */
  #held: Buffer = Buffer.from("\r\n");
  #isInBody = true;

  constructor(chunks: AsyncIterator<Uint8Array>, boundary: string) {
    this.#chunks = chunks;
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  /** Skips to the next part; null behind the last. */
  async next(): Promise<Omit<Part, "body"> | null> {
    for await (const _skipped of this.body());
    await this.#hold(2);
    if (this.#held.toString("latin1", 0, 2) === "--") return null;
    let end = this.#held.indexOf(headersEnd);
    while (end === -1) {
      if (this.#held.length > maxHeaderBytes) throw malformed("the headers of a part are too long");
      await this.#hold(this.#held.length + 1);
      end = this.#held.indexOf(headersEnd);
    }
    const [padding, ...headers] = this.#held.toString("utf8", 0, end).split("\r\n");
    if (padding?.trim() !== "") throw malformed("a boundary is followed by something else than a part");
    this.#held = this.#held.subarray(end + headersEnd.length);
    this.#isInBody = true;
    return readHead(headers);
  }

  /** The rest of the part's body. */
  async *body(): AsyncGenerator<Buffer, void, undefined> {
    while (this.#isInBody) {
      const at = this.#held.indexOf(this.#delimiter);
      // The last bytes may be the beginning of a boundary.
      const length = at === -1 ? Math.max(0, this.#held.length - this.#delimiter.length + 1) : at;
      const piece = this.#held.subarray(0, length);
      this.#held = this.#held.subarray(at === -1 ? length : at + this.#delimiter.length);
      this.#isInBody = at === -1;
      if (piece.length > 0) yield piece;
      else if (this.#isInBody) await this.#hold(this.#held.length + 1);
    }
  }

  /** Reads until at least so many bytes are held. */
  async #hold(bytes: number): Promise<void> {
    while (this.#held.length < bytes) {
      const chunk = await this.#chunks.next();
      if (chunk.done === true) throw malformed("it ends before its last boundary");
      this.#held = this.#held.length === 0 ? Buffer.from(chunk.value) : Buffer.concat([this.#held, chunk.value]);
    }
  }
}

function readHead(headers: readonly string[]): Omit<Part, "body"> {
  const values = new Map(
    headers.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const encoding = values.get("content-transfer-encoding")?.toLowerCase() ?? "binary";
  if (!["binary", "8bit", "7bit"].includes(encoding)) throw malformed("a part has a transfer encoding");
  const disposition = values.get("content-disposition") ?? "";
  const fields = new Map<string, string>();
  for (const match of disposition.matchAll(/;\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^;\s]*))/g)) {
    const [, key = "", quoted, plain = ""] = match;
    fields.set(key.toLowerCase(), quoted === undefined ? plain : unquoted(quoted));
  }
  const name = fields.get("name");
  if (!/^form-data\b/i.test(disposition) || name === undefined) throw malformed("a part has no name");
  return { name, filename: extended(fields.get("filename*")) ?? fields.get("filename") ?? null };
}

/** Clients escape quotation marks and line ends in either of two ways. */
const unquoted = (text: string) =>
  text.replaceAll(/\\(["\\])/g, "$1").replaceAll(/%(22|0D|0A)/gi, (escaped) => decodeURIComponent(escaped));

/** `UTF-8''na%C3%AFve.jsonl`, as some clients write names beyond ASCII. */
function extended(value: string | undefined): string | null {
  const encoded = /^utf-8'[^']*'(.*)$/i.exec(value ?? "")?.[1];
  if (encoded === undefined) return null;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

function malformed(reason: string): ApiError {
  return new ApiError(400, `We could not parse the multipart body of your request: ${reason}.`);
}
