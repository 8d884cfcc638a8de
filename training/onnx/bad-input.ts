// The error for what the person who started the training can put right.

/** The message is a sentence for them. */
export class BadInput extends Error {
  override readonly name = "BadInput";
}
