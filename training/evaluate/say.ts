// Owns one reply of a model as one text, at a temperature and nothing else that changes the draw.
// It knows neither questions nor judges.
import type { ChatMessage, ChatModel } from "../../runtime/chat-model.ts";

export interface SayOptions {
  readonly temperature: number;
  readonly seed: number;
  readonly maxTokens: number;
}

/** The whole reply. Throws what the model throws. */
export async function say(
  model: ChatModel,
  messages: readonly ChatMessage[],
  { temperature, seed, maxTokens }: SayOptions,
  signal: AbortSignal,
): Promise<string> {
  const request = {
    messages,
    sampling: {
      temperature,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map<number, number>(),
      seed,
    },
    choiceIndex: 0,
    maxTokens,
    stop: [],
    mustSpeak: false,
  };
  let text = "";
  for await (const event of model.generate(request, signal)) if (event.type === "text") text += event.text;
  return text;
}
