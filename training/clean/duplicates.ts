// Rules exact-duplicates and near-duplicates: of conversations with the same words, the first stays.
// Roles and borders between utterances do not count, as in the paper's cleaning.
import { createHash } from "node:crypto";
import { DuplicateIndex } from "../measures/duplicates.ts";
import { HashSet64 } from "./hash-set.ts";
import type { Clean } from "./rule.ts";

/** Remembers 64 bits of every conversation's hash: at ten million of them a false match has a chance of 1 in 370,000. */
export function exactDuplicates(): Clean {
  const seen = new HashSet64();
  return (conversation) => {
    const hash = createHash("sha256");
    for (const { content } of conversation.utterances) hash.update(content);
    const digest = hash.digest();
    return seen.add(digest.readUInt32LE(0), digest.readUInt32LE(4)) ? conversation : null;
  };
}

/** Remembers a MinHash signature of every conversation, about two kilobytes each. */
export function nearDuplicates(): Clean {
  const index = new DuplicateIndex();
  return (conversation) => {
    // An answer that a split repeats as context would make neighbours of one session alike.
    const fresh = conversation.utterances.filter(({ isContext }) => isContext !== true);
    const text = (fresh.length === 0 ? conversation.utterances : fresh).map(({ content }) => content).join("\n");
    return index.add(conversation.id, text) === null ? conversation : null;
  };
}
