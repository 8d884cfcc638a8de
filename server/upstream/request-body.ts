// Owns what an endpoint is sent for a ChatRequest: its messages in the roles it expects, and the fields it was configured to take.
// A wish it cannot take is refused by name, never dropped; only the seed is, since everybody who asks for a turn brings one.
import type { ChatMessage, ChatRequest } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import type { OmittableField, UpstreamSettings } from "./upstream-config.ts";

/** First message to an assistant that plays the user, so that its own words are answers as it is used to. */
const opener = "[start]";

/** What an assistant is told when it is to write the user's turns. */
const userInstruction =
  "You play the human user in a chat with an artificial intelligence assistant. Every message you receive is the assistant's, " +
  `except "${opener}", which asks you to begin. Reply with the user's next message alone, as a person would type it: no quotation ` +
  "marks, no role names, no remarks about this task. Never answer as the assistant would.";

/** Everything of the settings that shapes a prompt; hashed as the model's template. */
export const promptShape = ({ role, userMode }: UpstreamSettings) =>
  role === "user" ? { userMode, ...(userMode === "swap" ? { opener, userInstruction } : {}) } : {};

interface WireMessage {
  readonly role: ChatMessage["role"];
  readonly content: string;
}

/** The body of `POST /chat/completions`. Throws EngineError `invalid_request` that names the field the endpoint cannot take. */
export function toRequestBody(settings: UpstreamSettings, request: ChatRequest) {
  const { sampling } = request;
  const isOmitted = (field: OmittableField) => settings.omit.includes(field);
  const fields: Record<string, unknown> = {};
  const wish = (field: OmittableField, value: unknown, isNeutral: boolean, sentAs: string = field) => {
    if (isNeutral) return;
    if (isOmitted(field)) throw notTaken(settings.id, sentAs);
    fields[sentAs] = value;
  };
  wish("temperature", sampling.temperature, sampling.temperature === 1);
  wish("top_p", sampling.topP, sampling.topP === 1);
  wish("presence_penalty", sampling.presencePenalty, sampling.presencePenalty === 0);
  wish("frequency_penalty", sampling.frequencyPenalty, sampling.frequencyPenalty === 0);
  wish("logit_bias", Object.fromEntries(sampling.logitBias), sampling.logitBias.size === 0);
  wish("stop", request.stop, request.stop.length === 0);
  wish("max_tokens", request.maxTokens, request.maxTokens === null, settings.maxTokensField);
  const extend = (field: string, value: number, neutral: number) => {
    if (value === neutral) return;
    if (!settings.extensions) throw notTaken(settings.id, field);
    fields[field] = value;
  };
  extend("top_k", sampling.topK, 0);
  extend("min_p", sampling.minP, 0);
  extend("repetition_penalty", sampling.repetitionPenalty, 1);
  if (!isOmitted("seed")) fields["seed"] = choiceSeed(sampling.seed, request.choiceIndex);
  if (!isOmitted("stream_options")) fields["stream_options"] = { include_usage: true };
  return {
    ...fields,
    model: settings.model,
    messages: toWireMessages(settings, request.messages),
    stream: true as const,
  };
}

/** Ids of sampled tokens stay here: they mean nothing to another server. */
function toWireMessages({ role, userMode }: UpstreamSettings, messages: readonly ChatMessage[]): WireMessage[] {
  if (role === "assistant" && messages.length === 0) {
    throw new EngineError("invalid_request", "There must be at least one message to answer.", { param: "messages" });
  }
  const plain = messages.map((message) => ({ role: message.role, content: message.content }));
  return role === "user" && userMode === "swap" ? swapRoles(plain) : plain;
}

/** The user's turns become the assistant's and the other way round, behind an instruction and, where the user began, the opener. */
function swapRoles(messages: readonly WireMessage[]): WireMessage[] {
  const told = messages.filter(({ role }) => role === "system").map(({ content }) => content);
  const turns = messages.filter(({ role }) => role !== "system");
  const swapped = turns.map(({ role, content }) => ({
    role: role === "user" ? ("assistant" as const) : ("user" as const),
    content,
  }));
  const isOpened = swapped[0]?.role === "user";
  return [
    { role: "system", content: [userInstruction, ...told].join("\n\n") },
    ...(isOpened ? [] : [{ role: "user" as const, content: opener }]),
    ...swapped,
  ];
}

/** One request over there is one choice, so choices that share a seed here must not share it there. */
function choiceSeed(seed: number, choiceIndex: number): number {
  const next = seed + choiceIndex;
  return Number.isSafeInteger(next) ? next : seed - choiceIndex;
}

function notTaken(id: string, param: string): EngineError {
  return new EngineError(
    "invalid_request",
    `Unsupported parameter: the upstream of \`${id}\` does not take '${param}'.`,
    {
      param,
    },
  );
}
