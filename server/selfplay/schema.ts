// Owns what a self-play request may hold. Messages and sampling fields are those of a chat completion, with the same ranges.
// Fields it does not know are refused by name: nobody's SDK sends any here, and a mistyped one would silently change the data.
// It does not know which models there are; request.ts does.
import { z } from "zod";
import { chatCompletionSchema } from "../openai/schema.ts";
import { integerBound } from "../openai/validation.ts";
import { closed } from "./closed.ts";
import { simulationFields } from "./simulators/simulation-schema.ts";

const chat = chatCompletionSchema.in.shape;

const text = z.string().refine((value) => value.isWellFormed(), { error: "the text holds an unpaired surrogate." });

const samplingSchema = closed({
  temperature: chat.temperature,
  top_p: chat.top_p,
  top_k: chat.top_k,
  min_p: chat.min_p,
  presence_penalty: chat.presence_penalty,
  frequency_penalty: chat.frequency_penalty,
  repetition_penalty: chat.repetition_penalty,
  max_tokens: chat.max_tokens,
  max_completion_tokens: chat.max_completion_tokens,
  stop: chat.stop,
});

const maxTurnsLimit = 1000;

/** A request for one dialogue, as it comes. */
export const selfplaySchema = closed({
  user: z.string().nullish(),
  assistant: z.string().nullish(),
  messages: chat.messages.nullish(),
  system: closed({ user: text.nullish(), assistant: text.nullish() }).nullish(),
  seed: chat.seed,
  max_turns: z.int().min(1, integerBound).max(maxTurnsLimit, integerBound).nullish(),
  ...simulationFields,
  /** What the dialogue starts from: a question, an intent, a profile or a topic, as the mode takes it. */
  prompt: text.min(1).nullish(),
  sampling: closed({ user: samplingSchema.nullish(), assistant: samplingSchema.nullish() }).nullish(),
  stream: z.boolean().nullish(),
  format: z.enum(["openai", "sharegpt"]).nullish(),
  return_token_ids: z.boolean().nullish(),
});

export type SelfplayBody = z.infer<typeof selfplaySchema>;
export type SamplingBody = z.infer<typeof samplingSchema>;
