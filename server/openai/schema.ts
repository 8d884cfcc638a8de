// Owns what a chat completion request may hold: OpenAI's fields, our few extensions, and what is refused by name.
// It knows neither which models there are nor what they accept; that is chat-request.ts's.
import { z } from "zod";
import { integerBound } from "./validation.ts";

const integer = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min, integerBound).max(max, integerBound);

/** Text that can be encoded: half a surrogate pair is no character and would silently become U+FFFD. */
const text = z.string().refine((value) => value.isWellFormed(), { error: "the text holds an unpaired surrogate." });

const isAbsent = (value: unknown) => value === undefined || value === null;
const isAbsentOrEmpty = (value: unknown) => isAbsent(value) || (Array.isArray(value) && value.length === 0);
const isAbsentOr =
  (...harmless: unknown[]) =>
  (value: unknown) =>
    isAbsent(value) || harmless.includes(value);

/** A field with a meaning that is not served: values that ask for nothing pass, anything else is refused, not ignored. */
const unserved = (field: string, isHarmless: (value: unknown) => boolean) =>
  z
    .custom(isHarmless, {
      error: `Unsupported parameter: '${field}' is not supported with this model.`,
      params: { code: "unsupported_parameter", isSentence: true },
    })
    .optional();

const isTextFormat = (value: unknown) =>
  typeof value === "object" && value !== null && Reflect.get(value, "type") === "text";
const isTextAlone = (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === "text";

/** An array checked item by item up to the first fault: zod's own would list every fault of a million items. */
const listOf = <T>(item: z.ZodType<T>, { min = 0, max = Infinity } = {}) =>
  z
    .array(z.unknown())
    .min(min)
    .max(max)
    .transform((values, context) => {
      const items: T[] = [];
      for (const [index, value] of values.entries()) {
        const result = item.safeParse(value, { reportInput: true });
        if (!result.success) {
          const [issue] = result.error.issues;
          const placed = { ...issue, path: [index, ...(issue?.path ?? [])] };
          context.issues.push(placed as z.core.$ZodRawIssue);
          return z.NEVER;
        }
        items.push(result.data);
      }
      return items;
    });

const textPart = z.object({ type: z.enum(["text"]), text });

const messageSchema = z
  .object({
    role: z.enum(["system", "developer", "user", "assistant"]),
    content: z.union([text, listOf(textPart, { min: 1 })]),
    tool_calls: unserved("tool_calls", isAbsentOrEmpty),
    function_call: unserved("function_call", isAbsent),
    audio: unserved("audio", isAbsent),
  })
  .transform(({ role, content }) => ({
    role: role === "developer" ? ("system" as const) : role,
    content: typeof content === "string" ? content : content.map((part) => part.text).join("\n"),
  }));

const tokenBias = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  { error: "expected an object of token ids and biases.", params: { code: "invalid_type" } },
);

const streamOptions = z.object({ include_usage: z.boolean().nullish() });

/** A chat completion request with every default filled in. */
export const chatCompletionSchema = z
  .object({
    model: z.string(),
    messages: listOf(messageSchema),
    stream: z.boolean().nullish(),
    stream_options: streamOptions.nullish(),
    n: integer(1, 128).nullish(),
    stop: z.union([text, listOf(text, { max: 4 })]).nullish(),
    max_tokens: integer(1).nullish(),
    max_completion_tokens: integer(1).nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    top_k: integer(-1).nullish(),
    min_p: z.number().min(0).max(1).nullish(),
    presence_penalty: z.number().min(-2).max(2).nullish(),
    frequency_penalty: z.number().min(-2).max(2).nullish(),
    repetition_penalty: z.number().gt(0).max(10).nullish(),
    logit_bias: tokenBias.nullish(),
    seed: integer(Number.MIN_SAFE_INTEGER).nullish(),
    response_role: z.enum(["user", "assistant"]).nullish(),
    tools: unserved("tools", isAbsentOrEmpty),
    tool_choice: unserved("tool_choice", isAbsentOr("none", "auto")),
    functions: unserved("functions", isAbsentOrEmpty),
    function_call: unserved("function_call", isAbsentOr("none", "auto")),
    response_format: unserved("response_format", (value) => isAbsent(value) || isTextFormat(value)),
    logprobs: unserved("logprobs", isAbsentOr(false)),
    top_logprobs: unserved("top_logprobs", isAbsentOr(0)),
    audio: unserved("audio", isAbsent),
    modalities: unserved("modalities", (value) => isAbsent(value) || isTextAlone(value)),
    prediction: unserved("prediction", isAbsent),
    web_search_options: unserved("web_search_options", isAbsent),
    reasoning_effort: unserved("reasoning_effort", isAbsentOr("none")),
    verbosity: unserved("verbosity", isAbsentOr("medium")),
  })
  .refine((body) => isAbsent(body.stream_options) || body.stream === true, {
    path: ["stream_options"],
    error: "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    params: { isSentence: true },
  })
  .transform((body) => ({
    model: body.model,
    messages: body.messages,
    isStreamed: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    choices: body.n ?? 1,
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    // Some clients write "off" as -1.
    topK: Math.max(0, body.top_k ?? 0),
    minP: body.min_p ?? 0,
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    repetitionPenalty: body.repetition_penalty ?? 1,
    logitBias: body.logit_bias ?? {},
    seed: body.seed ?? null,
    responseRole: body.response_role ?? null,
  }));

export type ChatCompletionBody = z.infer<typeof chatCompletionSchema>;
