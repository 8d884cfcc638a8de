// Owns the rules that look at one conversation's words: line-ends, one-utterance, mentions, rate-limit, empty-message,
// repeated-speaker. Each is a function of its own; which of them run, and in which order, is rules.ts's.
import type { Utterance } from "../conversation.ts";
import { type Clean, cutBefore, mapContents } from "./rule.ts";

/** CRLF and lone CR become LF. */
export const lineEnds: Clean = (conversation) =>
  mapContents(conversation, ({ content }) => content.replaceAll(/\r\n?/g, "\n"));

/** Drops what is no conversation: nobody answered. */
export const oneUtterance: Clean = (conversation) => (conversation.utterances.length <= 1 ? null : conversation);

/** Drops conversations in which the model that was scraped, or its maker, is named. */
export const mentions: Clean = (conversation) =>
  conversation.utterances.some(({ content }) => /openai|chatgpt/.test(content.toLowerCase())) ? null : conversation;

const serviceErrors = /^\s*(?:Too many requests in 1 hour|Only one message at a time\. Please allow)/;

/** Cuts before the reply that is the service's error and no answer. */
export const rateLimit: Clean = (conversation) =>
  cutBefore(conversation, ({ role, content }) => role === "assistant" && serviceErrors.test(content));

/** Cuts before the first message without words: what follows answers something that is lost. */
export const emptyMessage: Clean = (conversation) => cutBefore(conversation, ({ content }) => content.trim() === "");

/** Joins messages that one speaker sent in a row, with a blank line between. */
export const repeatedSpeaker: Clean = (conversation) => {
  const utterances: Utterance[] = [];
  for (const utterance of conversation.utterances) {
    const last = utterances.at(-1);
    if (last?.role !== utterance.role) {
      utterances.push(utterance);
      continue;
    }
    const { role, content } = utterance;
    const isContext = last.isContext === true && utterance.isContext === true;
    const joined = { role, content: `${last.content}\n\n${content}`, ...(isContext ? { isContext } : {}) };
    utterances[utterances.length - 1] = joined;
  }
  return utterances.length === conversation.utterances.length ? conversation : { ...conversation, utterances };
};
