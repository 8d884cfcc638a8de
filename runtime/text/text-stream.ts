// Owns ids -> text while they come: whole characters only, no control tokens, no space that encoding invented.
// Bytes that cannot become a character are U+FFFD as soon as that is certain. It does not know stop strings.
import type { Tokenizer } from "./tokenizer.ts";

/** Text of one sequence. All that was pushed and flushed, put together, is the text of the whole sequence. */
export interface TextStream {
  /** Text that became certain with this token; often empty. */
  push(id: number): string;
  /** What was still held back, when no more tokens come. */
  flush(): string;
}

type TokenTable = Pick<Tokenizer, "bytesOf" | "controlIds" | "droppedLeadingSpaces">;

const space = 0x20;

/** Starts the text of a new sequence. */
export function createTextStream(tokens: TokenTable): TextStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let spacesToDrop = tokens.droppedLeadingSpaces;
  return {
    push(id) {
      if (tokens.controlIds.has(id)) return "";
      let bytes = tokens.bytesOf(id);
      if (spacesToDrop > 0 && bytes.length > 0) {
        let dropped = 0;
        while (dropped < spacesToDrop && bytes[dropped] === space) dropped++;
        spacesToDrop = dropped === bytes.length ? spacesToDrop - dropped : 0;
        bytes = bytes.subarray(dropped);
      }
      return decoder.decode(bytes, { stream: true });
    },
    flush: () => decoder.decode(),
  };
}

/** The text of a whole sequence. */
export function decodeText(tokens: TokenTable, ids: Iterable<number>): string {
  const stream = createTextStream(tokens);
  let text = "";
  for (const id of ids) text += stream.push(id);
  return text + stream.flush();
}
