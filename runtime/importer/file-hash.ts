// Size and SHA-256 of a file, read a piece at a time.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

const PIECE_BYTES = 1 << 20;

export interface FileHash {
  readonly bytes: number;
  readonly sha256: string;
}

/** Stops between two pieces when the signal is aborted. */
export async function fileHash(path: string, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<FileHash> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Uint8Array>) {
    signal.throwIfAborted();
    hash.update(piece);
    bytes += piece.length;
    onBytes(piece.length);
  }
  return { bytes, sha256: hash.digest("hex") };
}
