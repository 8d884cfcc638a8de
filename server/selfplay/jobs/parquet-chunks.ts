// Owns the bytes of a Parquet file between the library that writes it and the socket that takes it: handed on and let go of.
// It knows nothing of the format beyond that places in the file are counted from its beginning.
import { ByteWriter } from "hyparquet-writer";

/** A writer whose bytes can be taken while it is written. */
export class ChunkWriter extends ByteWriter {
  /** Everything written since the last call. Offsets go on counting. */
  take(): Uint8Array {
    const bytes = this.getBytes().slice();
    this.index = 0;
    return bytes;
  }
}
