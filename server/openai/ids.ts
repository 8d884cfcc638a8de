// Owns ids as OpenAI's objects have them: a prefix and letters and digits that nobody can guess.
import { randomInt } from "node:crypto";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Letters and digits by chance; 24 of them are 142 bits. */
export function randomLetters(count = 24): string {
  return Array.from({ length: count }, () => alphabet[randomInt(alphabet.length)]).join("");
}
