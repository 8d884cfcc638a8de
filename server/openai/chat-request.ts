// Owns the step from a checked HTTP body to what a model is asked: role rules, defaults, token biases, the seed.
// It knows what a model says of itself, and neither tokens nor templates; a turn order a template refuses is found later.
import { randomInt } from "node:crypto";
import type { ChatMessage, ChatRequest, ModelInfo, ModelRole } from "../../runtime/chat-model.ts";
import { ApiError, excerpt } from "./error.ts";
import type { ChatCompletionBody } from "./schema.ts";

/** What one HTTP request asks of a model: one ChatRequest per choice. */
export interface ChatCompletionPlan {
  readonly requests: readonly ChatRequest[];
  /** The role its replies are returned under. */
  readonly responseRole: ModelRole;
}

const maxSeed = 2 ** 47;

/** Throws ApiError 400 where the body contradicts the model or the configured limits. */
export function planChatCompletion(body: ChatCompletionBody, info: ModelInfo, maxChoices: number): ChatCompletionPlan {
  if (body.choices > maxChoices) {
    throw new ApiError(400, `Invalid 'n': this server allows at most ${maxChoices} choices, but got ${body.choices}.`, {
      param: "n",
      code: "integer_above_max_value",
    });
  }
  const isOpener = checkRoles(body.messages, info);
  const shared = {
    messages: body.messages,
    sampling: {
      temperature: body.temperature,
      topP: body.topP,
      topK: body.topK,
      minP: body.minP,
      presencePenalty: body.presencePenalty,
      frequencyPenalty: body.frequencyPenalty,
      repetitionPenalty: body.repetitionPenalty,
      logitBias: tokenBiases(body.logitBias, info.vocabSize),
      seed: body.seed ?? randomInt(maxSeed),
    },
    maxTokens: body.maxTokens,
    // An empty stop string asks for nothing; as a rule it would end every reply before it begins.
    stop: body.stop.filter((text) => text !== ""),
    mustSpeak: isOpener,
  };
  return {
    requests: Array.from({ length: body.choices }, (_, choiceIndex) => ({ ...shared, choiceIndex })),
    responseRole: body.responseRole ?? info.responseRole,
  };
}

/** Whose turn it is must be the model's. Returns whether the reply opens the conversation. */
function checkRoles(messages: readonly ChatMessage[], info: ModelInfo): boolean {
  if (info.role === "assistant") {
    if (messages.length > 0) return false;
    throw new ApiError(400, "Invalid 'messages': empty array. Expected an array with minimum length 1.", {
      param: "messages",
      code: "empty_array",
    });
  }
  const last = messages.findLast((message) => message.role !== "system");
  if (last === undefined) return true;
  if (last.role === "assistant") return false;
  throw new ApiError(
    400,
    `Invalid 'messages': the model '${info.id}' writes the user's turns, so the last message must be the assistant's; ` +
      `send no messages (or a system message alone) to let it open the conversation.`,
    { param: "messages", code: "invalid_value" },
  );
}

function tokenBiases(given: Readonly<Record<string, unknown>>, vocabSize: number): ReadonlyMap<number, number> {
  const biases = new Map<number, number>();
  for (const [key, bias] of Object.entries(given)) {
    const id = /^\d{1,9}$/.test(key) ? Number(key) : vocabSize;
    if (id >= vocabSize) {
      throw biasError(key, `its keys must be token ids from 0 to ${vocabSize - 1}, but one is '${excerpt(key)}'.`);
    }
    if (typeof bias !== "number" || !(bias >= -100 && bias <= 100)) {
      throw biasError(key, `the bias of token ${id} must be a number from -100 to 100.`);
    }
    biases.set(id, bias);
  }
  return biases;
}

function biasError(key: string, reason: string): ApiError {
  return new ApiError(400, `Invalid 'logit_bias': ${reason}`, {
    param: excerpt(`logit_bias.${key}`),
    code: "invalid_value",
  });
}
