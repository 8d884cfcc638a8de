// Owns how probable a model finds the turns of a role in a dialogue. Which tokens those are, runtime/turn-spans.ts knows;
// it knows neither devices nor HTTP.
import type { ChatMessage, ModelRole, TurnScore } from "./chat-model.ts";
import { EngineError } from "./errors.ts";
import type { LocalModelParts } from "./local-model.ts";
import { renderTurns } from "./turn-spans.ts";

/** See ChatModel.score. */
export async function scoreTurns(
  { info, engine, tokenizer, template, stopIds }: LocalModelParts,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
  as: ModelRole = info.role,
): Promise<readonly TurnScore[]> {
  if (!messages.some((message) => message.role === as)) return [];
  const { ids, turns } = await renderTurns({ role: as, tokenizer, template, stopIds }, messages, signal);
  const end = turns.at(-1)?.end ?? 0;
  if (end === 0) return [];
  if (end > engine.contextWindow) {
    const message = `The dialogue has ${end} tokens; the model's window has ${engine.contextWindow}.`;
    const detail = { param: "messages", contextWindow: engine.contextWindow, promptTokens: end };
    throw new EngineError("context_length_exceeded", message, detail);
  }
  const positions = turns.flatMap((turn) => range(turn.start, turn.end));
  const values = await engine.score(ids.slice(0, end), positions, signal);
  let taken = 0;
  return turns.map((turn) => {
    const from = taken;
    taken += turn.end - turn.start;
    return {
      messageIndex: turn.messageIndex,
      tokenIds: ids.slice(turn.start, turn.end),
      logProbabilities: values.slice(from, taken),
    };
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
