// Owns one dialogue's likelihood under a model: the turns of one role, in as many windows as the dialogue needs, each turn
// counted once. It knows neither files nor what the sums are for.
import type { ChatMessage, ChatModel, ModelRole, TurnScore } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import type { Conversation } from "../conversation.ts";
import { likelihoodOf } from "../measures/perplexity.ts";

/** Sums over the scored turns of one dialogue. */
export interface DialogueScore {
  /** Minus the sum of the natural logarithms of the tokens' probabilities, those that end turns included. */
  readonly nats: number;
  readonly tokens: number;
  /** UTF-8, of the turns' texts. */
  readonly bytes: number;
  readonly turns: number;
  /** Windows that were needed. */
  readonly windows: number;
  /** Turns of the role that no window holds. */
  readonly leftOutTurns: number;
}

/**
 * Scores the turns of `as`. What a window does not hold goes to the next one, which begins with the last turn of the one
 * before as context. An assistant's turn with nothing before it is not scored, nor one that only gives context.
 */
export async function scoreDialogue(
  model: ChatModel,
  { system, utterances }: Conversation,
  as: ModelRole,
  signal: AbortSignal,
): Promise<DialogueScore> {
  const told = system[as] === null ? [] : [{ role: "system" as const, content: system[as] }];
  // Ids that were sampled are another tokenizer's, for all that is known here.
  const said: readonly ChatMessage[] = utterances.map(({ role, content }) => ({ role, content }));
  const sum = { nats: 0, tokens: 0, bytes: 0, turns: 0, windows: 0, leftOutTurns: 0 };
  let start = 0;
  /** Index of the first utterance that no window had yet. */
  let fresh = 0;
  while (fresh < said.length) {
    const found = await scoreLongest(model, told, said.slice(start), fresh - start, as, signal);
    if (found === null) {
      // Without the context at first; then without the turn.
      if (start === fresh) {
        if (said[fresh]?.role === as) sum.leftOutTurns += 1;
        fresh += 1;
      }
      start = fresh;
      continue;
    }
    sum.windows += 1;
    const scored = new Set<number>();
    for (const { messageIndex, logProbabilities } of found.scores) {
      const index = messageIndex - told.length + start;
      scored.add(index);
      if (index < fresh || utterances[index]?.isContext === true) continue;
      const { tokens, logProbability } = likelihoodOf(logProbabilities);
      sum.nats -= logProbability;
      sum.tokens += tokens;
      sum.bytes += Buffer.byteLength(said[index]?.content ?? "");
      sum.turns += 1;
    }
    const end = start + found.length;
    // An answer that no window holds together with what it answers.
    for (let index = Math.max(1, fresh); index < end; index += 1) {
      if (said[index]?.role === as && !scored.has(index)) sum.leftOutTurns += 1;
    }
    fresh = end;
    start = Math.max(start + 1, fresh - 1);
  }
  return sum;
}

/** Of the beginnings that have more than `least` messages, the longest that the window holds; null when it holds none. */
async function scoreLongest(
  model: ChatModel,
  told: readonly ChatMessage[],
  messages: readonly ChatMessage[],
  least: number,
  as: ModelRole,
  signal: AbortSignal,
): Promise<{ readonly length: number; readonly scores: readonly TurnScore[] } | null> {
  const scoreFirst = async (length: number): Promise<readonly TurnScore[] | null> => {
    if (model.score === undefined) throw new Error(`${model.info.id} cannot tell how probable a text is.`);
    try {
      return await model.score([...told, ...messages.slice(0, length)], signal, as);
    } catch (error) {
      if (error instanceof EngineError && error.code === "context_length_exceeded") return null;
      throw error;
    }
  };
  const whole = await scoreFirst(messages.length);
  if (whole !== null) return { length: messages.length, scores: whole };
  let fits = least;
  let scores: readonly TurnScore[] | null = null;
  let overflows = messages.length;
  while (overflows - fits > 1) {
    const middle = Math.floor((fits + overflows) / 2);
    const found = await scoreFirst(middle);
    if (found === null) {
      overflows = middle;
    } else {
      fits = middle;
      scores = found;
    }
  }
  return scores === null ? null : { length: fits, scores };
}
