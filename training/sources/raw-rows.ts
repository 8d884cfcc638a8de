// Owns cutting a stream of bytes into rows: lines of JSON Lines, or elements of one JSON array, whichever it turns out to be.
// A row is bounded, so memory is too, however long the stream; it is cut out by its brackets and not yet parsed.
// It does not know what a row means.

export type RawRow =
  | { readonly row: number; readonly bytes: Buffer }
  | { readonly row: number; readonly broken: string };

/** Longest row that is read, in bytes. */
const MAX_ROW_BYTES = 64 * 1024 * 1024;

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The rows of a stream; `maxRowBytes` bounds each of them. */
export async function* readRawRows(
  chunks: AsyncIterable<Buffer>,
  maxRowBytes = MAX_ROW_BYTES,
): AsyncGenerator<RawRow, void, undefined> {
  let splitter: Splitter | null = null;
  let head: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (splitter !== null) {
      yield* splitter.push(chunk);
      continue;
    }
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
    const start = startOf(head);
    // Nothing but white space so far.
    if (start === -1) continue;
    const isArray = head[start] === OPEN_BRACKET;
    splitter = isArray ? new ArraySplitter(maxRowBytes) : new LineSplitter(maxRowBytes);
    // Blank lines before the first row count, so that an editor finds it.
    yield* splitter.push(isArray ? head.subarray(start + 1) : withoutMark(head));
  }
  if (splitter !== null) yield* splitter.end();
}

function startOf(head: Buffer): number {
  const from = hasMark(head) ? BYTE_ORDER_MARK.length : 0;
  for (let at = from; at < head.length; at += 1) if (!isSpace(head[at]!)) return at;
  return -1;
}

const hasMark = (head: Buffer) => head.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
const withoutMark = (head: Buffer) => (hasMark(head) ? head.subarray(BYTE_ORDER_MARK.length) : head);
const isSpace = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

interface Splitter {
  push(chunk: Buffer): Generator<RawRow>;
  end(): Generator<RawRow>;
}

/** The bytes of the row that is being read; of one that is too long only the count is kept. */
class RowBytes {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  /** null for a row of white space. */
  take(row: number): RawRow | null {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    const length = this.#bytes;
    this.#parts = [];
    this.#bytes = 0;
    if (length > this.#maxBytes) return { row, broken: `has ${length} bytes, and a row may have ${this.#maxBytes}.` };
    return bytes.every(isSpace) ? null : { row, bytes };
  }
}

class LineSplitter implements Splitter {
  readonly #line: RowBytes;
  #row = 1;

  constructor(maxBytes: number) {
    this.#line = new RowBytes(maxBytes);
  }

  *push(chunk: Buffer): Generator<RawRow> {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      this.#line.add(chunk.subarray(from, at));
      yield* this.end();
      this.#row += 1;
      from = at + 1;
    }
    this.#line.add(chunk.subarray(from));
  }

  *end(): Generator<RawRow> {
    const row = this.#line.take(this.#row);
    if (row !== null) yield row;
  }
}

/** Counts brackets outside strings; what is between the commas of the outermost array is a row. */
class ArraySplitter implements Splitter {
  readonly #element: RowBytes;
  #row = 1;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isClosed = false;

  constructor(maxBytes: number) {
    this.#element = new RowBytes(maxBytes);
  }

  *push(chunk: Buffer): Generator<RawRow> {
    let from = 0;
    for (let at = 0; at < chunk.length && !this.#isClosed; at += 1) {
      if (this.#isInString) {
        at = this.#skipString(chunk, at);
        continue;
      }
      const byte = chunk[at]!;
      if (byte === QUOTE) this.#isInString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth += 1;
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#depth -= 1;
        if (this.#depth >= 0) continue;
        this.#element.add(chunk.subarray(from, at));
        yield* this.#take();
        this.#isClosed = true;
        from = at + 1;
      } else if (byte === COMMA && this.#depth === 0) {
        this.#element.add(chunk.subarray(from, at));
        yield* this.#take();
        from = at + 1;
      }
    }
    this.#element.add(chunk.subarray(from));
  }

  *end(): Generator<RawRow> {
    const rest = this.#element.take(this.#row);
    if (this.#isClosed) {
      if (rest !== null) yield { row: this.#row, broken: "comes after the end of the file's array." };
      return;
    }
    yield { row: this.#row, broken: "is cut off: the file ends before the bracket that closes its array." };
  }

  *#take(): Generator<RawRow> {
    const row = this.#element.take(this.#row);
    if (row === null) return;
    yield row;
    this.#row += 1;
  }

  /** Index of the last byte that was looked at. */
  #skipString(chunk: Buffer, from: number): number {
    let at = from;
    for (; at < chunk.length; at += 1) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (chunk[at] === BACKSLASH) this.#isEscaped = true;
      else if (chunk[at] === QUOTE) {
        this.#isInString = false;
        break;
      }
    }
    return at;
  }
}
