// Owns asking a user model, at every place of a dialogue where the user is to speak, whether it has anything more to say.
// It knows neither files nor what is counted over dialogues.
import type { ChatMessage, ChatModel } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import type { Conversation } from "../conversation.ts";
import { placeOf } from "./sample.ts";

/** One dialogue's places: behind each of the assistant's turns, in their order. */
export interface AskedPlaces {
  /** Whether the model ends the dialogue there; null where no window holds what was said before. */
  readonly ends: readonly (boolean | null)[];
  /** The last place is where the human ended it; otherwise the human went on at all of them. */
  readonly isEndKnown: boolean;
  /** Ends that were the token that ends a conversation; the others were turns without a word. */
  readonly byToken: number;
}

export interface AskOptions {
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  readonly seed: number;
  /** Dialogues that do not say so came to their end all the same. */
  readonly areComplete: boolean;
}

/** The model's first token decides: it begins a turn, or ends the dialogue. */
export async function askEndings(
  model: ChatModel,
  { id, system, utterances, isComplete }: Conversation,
  options: AskOptions,
  signal: AbortSignal,
): Promise<AskedPlaces> {
  const told: readonly ChatMessage[] = system.user === null ? [] : [{ role: "system", content: system.user }];
  const said: readonly ChatMessage[] = utterances.map(({ role, content }) => ({ role, content }));
  const isEndKnown = (isComplete || options.areComplete) && said.at(-1)?.role === "assistant";
  const ends: (boolean | null)[] = [];
  let byToken = 0;
  for (const [index, { role }] of said.entries()) {
    if (role !== "assistant" || (index === said.length - 1 && !isEndKnown)) continue;
    // Each place of each dialogue has a draw of its own.
    const seed = Math.floor(placeOf(`${id}\0${index}`, options.seed) * 2 ** 48);
    const found = await endAt(model, [...told, ...said.slice(0, index + 1)], { ...options, seed }, id, signal);
    ends.push(found === null ? null : found !== "goes on");
    if (found === "token") byToken += 1;
  }
  model.endSession(id);
  return { ends, isEndKnown, byToken };
}

type Found = "goes on" | "token" | "empty turn";

async function endAt(
  model: ChatModel,
  messages: readonly ChatMessage[],
  { temperature, seed }: AskOptions,
  sessionId: string,
  signal: AbortSignal,
): Promise<Found | null> {
  const sampling = {
    temperature,
    topP: 1,
    topK: 0,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map<number, number>(),
    seed,
  };
  const request = { messages, sampling, choiceIndex: 0, maxTokens: 1, stop: [], mustSpeak: false, sessionId };
  try {
    for await (const event of model.generate(request, signal)) {
      if (event.type !== "end" || event.tokenIds.length > 0) continue;
      if (event.cause === "end_of_conversation") return "token";
      if (event.cause === "end_token") return "empty turn";
    }
    return "goes on";
  } catch (error) {
    if (error instanceof EngineError && error.code === "context_length_exceeded") return null;
    throw error;
  }
}
