// Size and SHA-256 of a file, read a piece at a time.
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

const PIECE_BYTES = 1 << 20;

export interface FileHash {
  readonly bytes: number;
  readonly sha256: string;
}

/** Stops between two pieces when the signal is aborted; others run between them. */
export async function fileHash(path: string, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<FileHash> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  try {
    // One for all pieces: memory for each would have to be collected, beside requests that are being answered.
    const piece = new Uint8Array(PIECE_BYTES);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, bytes);
      signal.throwIfAborted();
      if (bytesRead === 0) break;
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
      onBytes(bytesRead);
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}
