// Owns a judge (or any other model) behind an OpenAI-compatible endpoint, as the least ChatModel that evaluation needs: a whole
// reply at a time, tried again by the openai package. It keeps no sessions and knows neither what is asked nor how it is read.
import OpenAI, { APIConnectionTimeoutError, APIError, APIUserAbortError } from "openai";
import type { ChatCompletion, ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import type { ChatEvent, ChatModel, ChatRequest, ModelInfo, StopCause } from "../../runtime/chat-model.ts";
import { EngineError, type EngineErrorCode } from "../../runtime/errors.ts";
import { readOverflow } from "./context-overflow.ts";

export interface EndpointSettings {
  /** Up to and with the version, such as `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** null for endpoints that ask for none. */
  readonly apiKey: string | null;
  /** After failures that may pass: connection, 408, 409, 429, 5xx. 3 unless given. */
  readonly maxRetries?: number;
  /** For one attempt; two minutes unless given. */
  readonly timeoutMs?: number;
}

/** From the environment alone, so that no key is in a command line, a process list or a shell's history. */
export function readJudgeKey(environment: Readonly<Record<string, string | undefined>>): string | null {
  return environment["REALCHAT_JUDGE_KEY"] || environment["OPENAI_API_KEY"] || null;
}

/** A model at an endpoint. Throws EngineError as every ChatModel: `context_length_exceeded` where the endpoint says so. */
export function openEndpoint(settings: EndpointSettings): ChatModel {
  const { baseUrl, model, apiKey, maxRetries = 3, timeoutMs = 120_000 } = settings;
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? "none",
    ...(apiKey === null ? { defaultHeaders: { authorization: null } } : {}),
    // Not from the environment: they would go to whatever endpoint is named.
    organization: null,
    project: null,
    maxRetries,
    timeout: timeoutMs,
    logLevel: "off",
  });
  /** Parameters that the endpoint refused by name; reasoning models know neither temperature nor max_tokens. */
  const refused = new Set<string>();

  async function ask(request: ChatRequest, signal: AbortSignal): Promise<ChatCompletion> {
    for (;;) {
      try {
        return await client.chat.completions.create(toBody(model, request, refused), { signal });
      } catch (error) {
        const parameter = refusedParameter(error);
        if (parameter === null || refused.has(parameter)) throw toEngineError(error, `${model} at ${baseUrl}`);
        refused.add(parameter);
      }
    }
  }

  async function* generate(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void> {
    const { choices, usage } = await ask(request, signal);
    const [choice] = choices ?? [];
    if (choice === undefined)
      throw new EngineError("upstream_failed", `${model} at ${baseUrl} answered without a choice.`);
    const promptTokens = usage?.prompt_tokens ?? 0;
    const counted = { promptTokens, cachedTokens: 0, completionTokens: usage?.completion_tokens ?? 0 };
    yield { type: "prompt", promptTokens, cachedTokens: 0 };
    const text = choice.message?.content ?? "";
    if (text !== "") yield { type: "text", text };
    const cause: StopCause = choice.finish_reason === "length" ? "max_tokens" : "end_token";
    yield { type: "end", cause, usage: usage ? counted : { ...counted, isEstimated: true }, tokenIds: [] };
  }

  return { info: describe(settings), generate, endSession: () => {}, close: () => Promise.resolve() };
}

function describe({ model }: EndpointSettings): ModelInfo {
  return {
    id: model,
    role: "assistant",
    // Unknown from here: the endpoint itself says when a prompt is too long.
    contextWindow: Number.MAX_SAFE_INTEGER,
    createdAtS: 0,
    ownedBy: "endpoint",
    device: "remote",
    precision: "unknown",
    modelHash: "",
    templateHash: "",
    responseRole: "assistant",
    vocabSize: 0,
    recommendedSampling: { temperature: 1, topP: 1, topK: 0, minP: 0 },
  };
}

type Body = ChatCompletionCreateParamsNonStreaming;

function toBody(model: string, request: ChatRequest, refused: ReadonlySet<string>): Body {
  const { messages, sampling, maxTokens, stop } = request;
  const body: Body = { model, messages: messages.map(({ role, content }) => ({ role, content })) };
  if (!refused.has("temperature")) body.temperature = sampling.temperature;
  if (!refused.has("seed")) body.seed = sampling.seed;
  if (sampling.topP !== 1 && !refused.has("top_p")) body.top_p = sampling.topP;
  if (maxTokens !== null && refused.has("max_tokens")) body.max_completion_tokens = maxTokens;
  else if (maxTokens !== null) body.max_tokens = maxTokens;
  if (stop.length > 0) body.stop = [...stop];
  return body;
}

const optional = new Set(["temperature", "seed", "top_p", "max_tokens"]);

function refusedParameter(error: unknown): string | null {
  if (!(error instanceof APIError) || error.status !== 400) return null;
  const isRefusal = error.code === "unsupported_parameter" || error.code === "unsupported_value";
  return isRefusal && typeof error.param === "string" && optional.has(error.param) ? error.param : null;
}

function toEngineError(cause: unknown, where: string): unknown {
  if (cause instanceof APIUserAbortError)
    return new EngineError("cancelled", "The request was cancelled.", {}, { cause });
  if (!(cause instanceof APIError)) return cause;
  const { message, type, code, param } = cause;
  const told = { message, type: type ?? null, code: code ?? null, param: param ?? null };
  const status: number | undefined = cause.status;
  const isOverflow = readOverflow({ ...told, promptTokens: null, contextWindow: null }) !== null;
  if (isOverflow) return new EngineError("context_length_exceeded", `${where}: ${message}`, {}, { cause });
  const failure = cause instanceof APIConnectionTimeoutError ? "upstream_timeout" : codeOf(status);
  return new EngineError(failure, `${where} failed: ${message}`, {}, { cause });
}

function codeOf(status: number | undefined): EngineErrorCode {
  if (status === 429) return "upstream_rate_limited";
  return status !== undefined && status >= 400 && status < 500 && status !== 408
    ? "upstream_refused"
    : "upstream_failed";
}
