// Owns what a training example is: one conversation as the ids that serving would have, with labels on what the model itself
// must write. Making it is decided here; reading, formats and files are not known.
//
// The rule of the labels: exactly the tokens that the model samples in serving. The role opening, which the generation prompt
// writes, is given and not trained; the first trained token is the one after it; the last is the token that ends the turn.
import type { ChatMessage, ModelRole, StopCause } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import { decodeText } from "../../runtime/text/text-stream.ts";
import { renderTurns } from "../../runtime/turn-spans.ts";
import type { Conversation, Utterance } from "../conversation.ts";
import type { ModelText } from "./model-text.ts";

/** The label of a token that is in no loss. */
export const ignoredLabel = -100;

/** A turn of the trained role. */
interface ExampleSpan {
  /** Which of the conversation's utterances, from 0; null for the end of the conversation. */
  readonly utterance: number | null;
  readonly start: number;
  /** Behind its last token, the one that ends the turn included. */
  readonly end: number;
  readonly isTrained: boolean;
}

export interface Example {
  readonly inputIds: readonly number[];
  /** As long as `inputIds`: the id itself where it is trained, and `ignoredLabel` elsewhere. */
  readonly labels: readonly number[];
  readonly spans: readonly ExampleSpan[];
  /** Utterances that are left, from the first; what was behind the last trained turn is gone. */
  readonly keptUtterances: number;
  readonly trainedTokens: number;
  /** Trained turns that did not fit and were cut off at the end. */
  readonly cutTurns: number;
  /** Turns whose sampled ids are not ids of their text under this tokenizer. */
  readonly retokenizedTurns: number;
}

export type ExampleResult =
  | { readonly kind: "example"; readonly example: Example }
  /** Nothing in it is to be trained, or nothing of that fits. */
  | { readonly kind: "untrained"; readonly reason: "no_turn" | "too_long" }
  /** The template refuses the conversation. */
  | { readonly kind: "refused"; readonly reason: string };

export interface ExampleOptions {
  readonly role: ModelRole;
  readonly maxTokens: number;
  /** User-role examples of complete conversations end with the token that ends the conversation. */
  readonly isLearningEnd: boolean;
}

/** Turns that stopped for want of room have no end of their own that could be learned. */
const unfinished: ReadonlySet<StopCause | undefined> = new Set(["max_tokens", "window"]);

/** Makes one example. Only an aborted signal and faults of ours are thrown. */
export async function makeExample(
  conversation: Conversation,
  model: ModelText,
  options: ExampleOptions,
  signal: AbortSignal,
): Promise<ExampleResult> {
  const { role, maxTokens } = options;
  const { messages, retokenized, offset } = toMessages(conversation, role, model);
  const { tokenizer, template, stopIds } = model;
  let rendered;
  try {
    rendered = await renderTurns({ role, tokenizer, template, stopIds }, messages, signal);
  } catch (cause) {
    if (cause instanceof EngineError && cause.code === "invalid_request")
      return { kind: "refused", reason: cause.message };
    throw cause;
  }
  const { ids, turns } = rendered;
  const spans: ExampleSpan[] = turns.map((turn) => {
    const utterance = turn.messageIndex - offset;
    const said = conversation.utterances[utterance];
    const isUnfinished = turn.isClosed && unfinished.has(said?.cause);
    const end = isUnfinished ? turn.end - 1 : turn.end;
    // An assistant's first turn answers nothing: nobody would ever ask for it.
    const isAnswer = role === "user" || utterance > 0;
    return { utterance, start: turn.start, end, isTrained: isAnswer && said?.isContext !== true && end > turn.start };
  });
  const trained = spans.filter((span) => span.isTrained);
  if (trained.length === 0) return { kind: "untrained", reason: "no_turn" };
  const fitting = trained.filter((span) => span.end <= maxTokens);
  const last = fitting.at(-1);
  if (last === undefined) return { kind: "untrained", reason: "too_long" };
  const isCut = fitting.length < trained.length;
  const due = isCut ? null : endOfConversation(conversation, model, options, ids.length);
  const goodbye = due !== null && due.span.end <= maxTokens ? due : null;
  const cutTurns = trained.length - fitting.length + (due === goodbye ? 0 : 1);
  const kept = spans.filter((span) => span.start < last.end).concat(goodbye?.span ?? []);
  const inputIds = goodbye === null ? ids.slice(0, last.end) : [...ids, goodbye.id];
  const labels: number[] = Array.from(inputIds, () => ignoredLabel);
  for (const span of kept) {
    if (!span.isTrained) continue;
    for (let at = span.start; at < span.end; at++) labels[at] = inputIds[at] ?? ignoredLabel;
  }
  const keptUtterances = goodbye === null ? (last.utterance ?? 0) + 1 : conversation.utterances.length;
  const example = {
    inputIds,
    labels,
    spans: kept,
    keptUtterances,
    trainedTokens: labels.filter((label) => label !== ignoredLabel).length,
    cutTurns,
    retokenizedTurns: kept.filter(({ utterance }) => utterance !== null && retokenized.has(utterance)).length,
  };
  return { kind: "example", example };
}

function toMessages({ system, utterances }: Conversation, role: ModelRole, model: ModelText) {
  const told = system[role];
  const retokenized = new Set<number>();
  const messages: ChatMessage[] = told === null ? [] : [{ role: "system", content: told }];
  for (const [index, { role: speaker, content, tokenIds }] of utterances.entries()) {
    const message = { role: speaker, content };
    if (speaker !== role || tokenIds === undefined) messages.push(message);
    else if (isSampledFrom(model, { content, tokenIds })) messages.push({ ...message, tokenIds });
    else {
      retokenized.add(index);
      messages.push(message);
    }
  }
  return { messages, retokenized, offset: messages.length - utterances.length };
}

/** Whether ids are ones that this tokenizer's model could have sampled for the text. */
function isSampledFrom({ tokenizer }: ModelText, { content, tokenIds = [] }: Pick<Utterance, "content" | "tokenIds">) {
  const isText = (id: number) => id >= 0 && id < tokenizer.vocabSize && !tokenizer.controlIds.has(id);
  return tokenIds.every(isText) && decodeText(tokenizer, tokenIds).trim() === content.trim();
}

/** The last turn of a user who has nothing more to say: the token that serving would sample behind the whole conversation. */
function endOfConversation(
  { isComplete, utterances }: Conversation,
  { endOfConversationId }: ModelText,
  { role, isLearningEnd }: ExampleOptions,
  promptTokens: number,
): { id: number; span: ExampleSpan } | null {
  const isDue = isLearningEnd && isComplete && role === "user" && utterances.at(-1)?.role === "assistant";
  if (!isDue || endOfConversationId === null) return null;
  const span = { utterance: null, start: promptTokens, end: promptTokens + 1, isTrained: true };
  return { id: endOfConversationId, span };
}
