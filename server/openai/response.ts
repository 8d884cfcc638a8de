// Owns the bytes-level shape of OpenAI's answers: chat completions, their chunks, usage.
// It only builds objects; when they are sent is completion.ts's and sse.ts's.
import { randomUUID } from "node:crypto";
import type { ChatUsage, ModelInfo, ModelRole, StopCause } from "../../runtime/chat-model.ts";

type FinishReason = "stop" | "length";

/** What every object of one answer repeats. */
export interface AnswerHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

/** One finished choice of a completion that is not streamed. */
export interface FinishedChoice {
  readonly index: number;
  readonly text: string;
  readonly cause: StopCause;
}

/** A head with a fresh id. */
export function newAnswerHead(info: ModelInfo): AnswerHead {
  return {
    id: `chatcmpl-${randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model: info.id,
    system_fingerprint: `fp_${info.modelHash.slice(0, 10)}`,
  };
}

const finishReasons: Record<StopCause, FinishReason> = {
  end_token: "stop",
  end_of_conversation: "stop",
  stop_string: "stop",
  max_tokens: "length",
  window: "length",
};

/** OpenAI's word for why a turn ended. */
function finishReason(cause: StopCause): FinishReason {
  return finishReasons[cause];
}

/** Our one extension field: the model said goodbye, there is no next turn to ask for. */
function extension(cause: StopCause) {
  return cause === "end_of_conversation" ? { realchat: { end_of_conversation: true } } : {};
}

/** A whole answer. */
export function completionObject(
  head: AnswerHead,
  role: ModelRole,
  choices: readonly FinishedChoice[],
  usages: readonly ChatUsage[],
) {
  return {
    id: head.id,
    object: "chat.completion",
    created: head.created,
    model: head.model,
    system_fingerprint: head.system_fingerprint,
    choices: choices.map(({ index, text, cause }) => ({
      index,
      message: { role, content: text, refusal: null },
      logprobs: null,
      finish_reason: finishReason(cause),
      ...extension(cause),
    })),
    usage: usageSum(usages),
  };
}

/** What a chunk says of its choice. */
export type ChunkPart =
  | { readonly type: "role"; readonly role: ModelRole }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "finish"; readonly cause: StopCause };

/** `hasUsage`: the stream will end with a usage chunk, so that every other chunk carries `usage: null`. */
export function chunk(head: AnswerHead, index: number, part: ChunkPart, hasUsage: boolean) {
  return {
    ...chunkHead(head),
    choices: [
      {
        index,
        delta: delta(part),
        logprobs: null,
        finish_reason: part.type === "finish" ? finishReason(part.cause) : null,
        ...(part.type === "finish" ? extension(part.cause) : {}),
      },
    ],
    ...(hasUsage ? { usage: null } : {}),
  };
}

/** The chunk before `[DONE]` that `stream_options.include_usage` asks for. */
export function usageChunk(head: AnswerHead, usages: readonly ChatUsage[]) {
  return { ...chunkHead(head), choices: [], usage: usageSum(usages) };
}

/** Every choice is counted in full: a prompt that n choices share is cached tokens for those that found it computed. */
function usageSum(usages: readonly ChatUsage[]) {
  let promptTokens = 0;
  let cachedTokens = 0;
  let completionTokens = 0;
  for (const usage of usages) {
    promptTokens += usage.promptTokens;
    cachedTokens += usage.cachedTokens;
    completionTokens += usage.completionTokens;
  }
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
    // Told only of models elsewhere whose server counts nothing.
    ...(usages.some(({ isEstimated }) => isEstimated === true) ? { realchat: { is_estimated: true } } : {}),
  };
}

function chunkHead(head: AnswerHead) {
  return {
    id: head.id,
    object: "chat.completion.chunk",
    created: head.created,
    model: head.model,
    system_fingerprint: head.system_fingerprint,
  };
}

function delta(part: ChunkPart) {
  if (part.type === "role") return { role: part.role, content: "", refusal: null };
  return part.type === "text" ? { content: part.text } : {};
}
