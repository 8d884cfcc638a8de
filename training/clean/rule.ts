// What a cleaning rule is, and the cuts that rules share. It knows no rule.
import type { Conversation, Utterance } from "../conversation.ts";

/** A conversation as it is, a changed one, or null: dropped. */
export type Cleaned = Conversation | null;

/** Drops, changes or keeps one conversation; the same object means that nothing changed. */
export type Clean = (conversation: Conversation) => Cleaned;

/** A copy with other words. What a model sampled stands for the old ones, so it goes. */
function withContent(utterance: Utterance, content: string): Utterance {
  if (content === utterance.content) return utterance;
  const { role, isContext } = utterance;
  return { role, content, ...(isContext === undefined ? {} : { isContext }) };
}

/** Changes words; the same object where none changed. */
export function mapContents(conversation: Conversation, change: (utterance: Utterance) => string): Conversation {
  const utterances = conversation.utterances.map((utterance) => withContent(utterance, change(utterance)));
  const isSame = utterances.every((utterance, index) => utterance === conversation.utterances[index]);
  return isSame ? conversation : { ...conversation, utterances };
}

/** What was said before the first utterance that must not be there. */
export function cutBefore(conversation: Conversation, isBad: (utterance: Utterance) => boolean): Cleaned {
  const at = conversation.utterances.findIndex(isBad);
  if (at === -1) return conversation;
  if (at === 0) return null;
  return { ...conversation, utterances: conversation.utterances.slice(0, at), isComplete: false };
}
