// Owns which tokens of a dialogue are a model's own words, so that they can be scored: each of its role's turns, from the
// first token after the opened turn up to and with the one that ends it. It knows neither devices nor HTTP.
import type { ChatMessage, TurnScore } from "./chat-model.ts";
import { EngineError } from "./errors.ts";
import type { LocalModelParts } from "./local-model.ts";
import type { PromptPiece } from "./text/prompt-sections.ts";

/** See ChatModel.score. */
export async function scoreTurns(
  { info, engine, tokenizer, template, stopIds }: LocalModelParts,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
): Promise<readonly TurnScore[]> {
  const promptOf = (past: readonly ChatMessage[]): readonly number[] => tokenizer.encode(template.render(past).pieces);
  const known: ChatMessage[] = [];
  const turns: { readonly index: number; readonly start: number; readonly ids: readonly number[] }[] = [];
  for (const [index, message] of messages.entries()) {
    // An assistant's first turn has nothing before it to open.
    if (message.role !== info.role || (index === 0 && info.role === "assistant")) {
      known.push(message);
      continue;
    }
    const before = promptOf(known);
    const ids = message.tokenIds ?? continuationIds(before, message.content);
    known.push({ ...message, tokenIds: ids });
    turns.push({ index, start: before.length, ids });
  }
  if (turns.length === 0) return [];
  const ids = promptOf(known);
  const scored = turns.map(({ index, start, ids: own }) => {
    if (own.some((id, offset) => ids[start + offset] !== id)) {
      const message = `The chat template changes the turn of message ${index} once more is said; it cannot be scored.`;
      throw new EngineError("invalid_request", message, { param: "messages" });
    }
    // A template that closes turns otherwise has no token that ends them.
    const isClosed = stopIds.includes(ids[start + own.length] ?? -1);
    return { index, positions: range(start, start + own.length + (isClosed ? 1 : 0)) };
  });
  const positions = scored.flatMap((turn) => turn.positions);
  const end = (positions.at(-1) ?? 0) + 1;
  if (end > engine.contextWindow) {
    const message = `The dialogue has ${end} tokens; the model's window has ${engine.contextWindow}.`;
    const detail = { param: "messages", contextWindow: engine.contextWindow, promptTokens: end };
    throw new EngineError("context_length_exceeded", message, detail);
  }
  const values = await engine.score(ids.slice(0, end), positions, signal);
  let taken = 0;
  return scored.map((turn) => {
    const from = taken;
    taken += turn.positions.length;
    return {
      messageIndex: turn.index,
      tokenIds: turn.positions.map((position) => ids[position] ?? 0),
      logProbabilities: values.slice(from, taken),
    };
  });

  /** The ids of a text that goes on where the prompt ends, as the model would have sampled them. */
  function continuationIds(before: readonly number[], text: string): readonly number[] {
    const pieces: readonly PromptPiece[] = [
      { type: "ids", ids: before },
      { type: "plain", text },
    ];
    return tokenizer.encode(pieces).slice(before.length);
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
