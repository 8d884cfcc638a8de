// Owns nothing but the seam between commands and whoever shows what they say. Types only.

export interface Terminal {
  /** Results, on standard output. */
  print(text: string): void;
  /** What a person wants to know meanwhile. */
  note(text: string): void;
}
