// The two ways reading goes wrong: a source that cannot be read at all, and a row of it that is not what its format says.

/** Ends the reading. The message is a sentence that names the source. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/** A row that cannot be read; the message is a clause that follows "row 3:". */
export class RowError extends Error {
  override readonly name = "RowError";
}
