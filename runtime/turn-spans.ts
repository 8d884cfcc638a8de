// Owns which tokens of a rendered dialogue are a model's own words: each turn of its role, from the first token after the
// opened turn up to and with the one that ends it. Scoring and training examples both find them here, so that a loss is over
// exactly what serving samples. It knows neither networks nor labels.
import { isDeepStrictEqual } from "node:util";
import type { ChatMessage, ModelRole } from "./chat-model.ts";
import { EngineError } from "./errors.ts";
import type { ChatTemplate } from "./text/chat-template.ts";
import type { PromptPiece } from "./text/prompt-sections.ts";
import type { Tokenizer } from "./text/tokenizer.ts";

interface TurnSpan {
  /** Which of the messages, from 0. */
  readonly messageIndex: number;
  /** Of the turn's first token: as many ids as the prompt has that serving would give for the messages before. */
  readonly start: number;
  /** Behind the turn's last token, the one that ends it included. */
  readonly end: number;
  /** False where the template writes no token that ends the turn. */
  readonly isClosed: boolean;
}

export interface RenderedTurns {
  /** The prompt for what would follow the messages: it ends with the opened turn of the role. */
  readonly ids: readonly number[];
  readonly turns: readonly TurnSpan[];
}

export interface TurnParts {
  readonly role: ModelRole;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly stopIds: readonly number[];
}

/**
 * Renders all messages once and finds the role's turns. A turn's `tokenIds` stand as they are; other turns become what their
 * text is behind the opened turn. Throws EngineError("invalid_request") for a template that changes a turn, or what came
 * before it, once more is said.
 */
export async function renderTurns(
  parts: TurnParts,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
): Promise<RenderedTurns> {
  const { role, tokenizer, template } = parts;
  // An assistant's first turn has nothing before it to open.
  const isOwn = (message: ChatMessage, index: number) => message.role === role && (index > 0 || role !== "assistant");
  const own = messages.flatMap((message, index) => (isOwn(message, index) ? [index] : []));
  // Ids are known only once the text before a turn is: until then the turn's index holds their place.
  const held = messages.map((message, index) =>
    isOwn(message, index) && message.tokenIds === undefined ? { ...message, tokenIds: [index] } : message,
  );
  const { pieces, usesKnownIds } = template.render(held, role);
  if (!usesKnownIds) throw changedTurn(own[0] ?? 0);
  const known = held.flatMap((message, index) => (message.tokenIds === undefined ? [] : [index]));
  const at = pieces.flatMap((piece, index) => (piece.type === "ids" ? [index] : []));
  const pieceOf = new Map(known.map((message, order) => [message, at[order] ?? 0]));
  checkPrefixes(parts, held, own, pieces, pieceOf);

  const encode = continuationEncoder(tokenizer, template.turnOpening(role));
  const filled: PromptPiece[] = [...pieces];
  for (const [message, index] of pieceOf) {
    const { content, tokenIds } = messages[message] as ChatMessage;
    filled[index] = { type: "ids", ids: tokenIds ?? encode(filled.slice(0, index), content) };
  }
  const { ids, decodedSpans } = await tokenizer.encodeWithin(filled, Number.POSITIVE_INFINITY, signal);
  let spansSeen = 0;
  const startOf = new Map<number, number>();
  for (const [message, index] of pieceOf) {
    const piece = filled[index];
    const isEmpty = piece?.type !== "ids" || piece.ids.length === 0;
    const start = isEmpty ? tokenizer.encode(filled.slice(0, index)).length : decodedSpans[spansSeen++]?.from;
    startOf.set(message, start ?? 0);
  }
  const turns = own.map((messageIndex) => {
    const start = startOf.get(messageIndex) ?? 0;
    const piece = filled[pieceOf.get(messageIndex) ?? 0];
    const behind = start + (piece?.type === "ids" ? piece.ids.length : 0);
    const isClosed = parts.stopIds.includes(ids[behind] ?? -1);
    return { messageIndex, start, end: behind + (isClosed ? 1 : 0), isClosed };
  });
  return { ids, turns };
}

function changedTurn(messageIndex: number): EngineError {
  const message = `The chat template changes the turn of message ${messageIndex} once more is said.`;
  return new EngineError("invalid_request", message, { param: "messages" });
}

/**
 * Compares what stands before a turn with the prompt that serving gives for it: for the first turn, the last, and those at
 * powers of two between, which costs no more than a few renderings of the whole and finds every template that treats the
 * end of a dialogue, or all but its end, in a way of its own.
 */
function checkPrefixes(
  { template, role }: TurnParts,
  held: readonly ChatMessage[],
  own: readonly number[],
  pieces: readonly PromptPiece[],
  pieceOf: ReadonlyMap<number, number>,
): void {
  for (const [order, message] of own.entries()) {
    const isChecked = (order & (order - 1)) === 0 || order === own.length - 1;
    if (!isChecked) continue;
    const prompt = template.render(held.slice(0, message), role).pieces;
    const before = pieces.slice(0, pieceOf.get(message));
    if (!isDeepStrictEqual(prompt, before)) throw changedTurn(message);
  }
}

type ContinuationEncoder = (before: readonly PromptPiece[], text: string) => readonly number[];

/**
 * The ids of a text behind an opened turn: as the whole would be encoded, where that leaves the prompt's own ids alone, and
 * otherwise as the continuation that a model can only sample token by token.
 */
function continuationEncoder(tokenizer: Tokenizer, opening: string): ContinuationEncoder {
  const promptIds = new Map<string, readonly number[]>();
  const anything: PromptPiece = { type: "ids", ids: [0] };
  return (before, text) => {
    if (text === "") return [];
    const spoken: PromptPiece = { type: "plain", text: opening + text };
    const near = nearPieces(tokenizer, before);
    const key = JSON.stringify(near);
    const prompt = promptIds.get(key) ?? tokenizer.encode(near);
    promptIds.set(key, prompt);
    const whole = tokenizer.encode([...near, spoken]);
    if (prompt.every((id, index) => whole[index] === id)) return whole.slice(prompt.length);
    return tokenizer.encode([anything, spoken]).slice(1);
  };
}

/** The end of a prompt, from its last control token or known ids on: all that what follows can depend on. */
function nearPieces(tokenizer: Tokenizer, before: readonly PromptPiece[]): PromptPiece[] {
  const near: PromptPiece[] = [];
  for (const piece of before.toReversed()) {
    if (piece.type === "ids") {
      if (piece.ids.length === 0) continue;
      return [{ type: "ids", ids: piece.ids.slice(-1) }, ...near];
    }
    if (piece.type === "markup") {
      const at = Math.max(...tokenizer.controlTokens.map((token) => piece.text.lastIndexOf(token)));
      if (at >= 0) return [{ type: "markup", text: piece.text.slice(at) }, ...near];
    }
    near.unshift(piece);
  }
  return near;
}
