// Owns one attempt at an upstream: the request, its stream read and checked chunk by chunk, the time limits on its silence.
// It neither repeats nor counts anything; what goes wrong is thrown as UpstreamFault.
import type OpenAI from "openai";
import { z } from "zod";
import type { ChatUsage } from "../../runtime/chat-model.ts";
import { toFault, UpstreamFault } from "./fault.ts";
import type { toRequestBody } from "./request-body.ts";

/** How an answer ended, as the endpoint told it. */
export interface AnswerEnd {
  readonly finishReason: string;
  /** A stop string ended it; few servers tell. */
  readonly isStopString: boolean;
  readonly isEndOfConversation: boolean;
  /** null where the endpoint gave none. */
  readonly usage: ChatUsage | null;
}

export type AttemptEvent =
  /** The endpoint has taken the request: from here on it costs. */
  | { readonly type: "open" }
  | { readonly type: "text"; readonly text: string }
  /** Once, last. */
  | { readonly type: "end"; readonly end: AnswerEnd };

interface AttemptLimits {
  readonly timeoutS: number;
  readonly idleTimeoutS: number;
  readonly apiKey: string | null;
}

const tokens = z.int().min(0);
const usageSchema = z.object({
  prompt_tokens: tokens,
  completion_tokens: tokens,
  prompt_tokens_details: z.object({ cached_tokens: tokens.nullish() }).nullish().catch(null),
});
const saying = z.object({ content: z.string().nullish(), refusal: z.string().nullish() });
const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: saying.nullish(),
        // From a server that knows no streams.
        message: saying.nullish(),
        finish_reason: z.string().nullish(),
        // vLLM and SGLang: the stop string, or the id of a stop token.
        stop_reason: z.unknown().optional(),
        realchat: z.object({ end_of_conversation: z.boolean() }).nullish().catch(null),
      }),
    )
    .nullish(),
  usage: usageSchema.nullish().catch(null),
});

/** Once the answer has ended, its usage is all that can still come. */
const maxFarewellS = 5;

/** Asks once. Leaving the loop early, or aborting the signal, hangs up; an abort ends the loop without an `end`. */
export async function* runAttempt(
  client: OpenAI,
  body: ReturnType<typeof toRequestBody>,
  { timeoutS, idleTimeoutS, apiKey }: AttemptLimits,
  signal: AbortSignal,
): AsyncGenerator<AttemptEvent, void> {
  const own = new AbortController();
  const silence = openSilence(own);
  const either = AbortSignal.any([signal, own.signal]);
  let finish: Omit<AnswerEnd, "usage"> | null = null;
  let usage: ChatUsage | null = null;
  let isRead = false;
  silence.start(timeoutS);
  try {
    // The endpoint may know other fields than the package's types, and be a gateway that takes no messages for an opener.
    const stream = await client.chat.completions.create(body as OpenAI.ChatCompletionCreateParamsStreaming, {
      signal: either,
    });
    yield { type: "open" };
    for await (const raw of stream) {
      silence.stop();
      const chunk = readChunk(raw);
      usage = toUsage(chunk.usage) ?? usage;
      const choice = chunk.choices?.[0];
      const said = choice?.delta ?? choice?.message;
      const text = said?.content ?? said?.refusal ?? "";
      if (text !== "" && finish === null) yield { type: "text", text };
      if (typeof choice?.finish_reason === "string" && finish === null) {
        finish = {
          finishReason: choice.finish_reason,
          isStopString: typeof choice.stop_reason === "string",
          isEndOfConversation: choice.realchat?.end_of_conversation === true,
        };
      }
      silence.start(finish === null ? idleTimeoutS : Math.min(idleTimeoutS, maxFarewellS));
    }
    isRead = true;
  } catch (error) {
    // Whatever happens after the last word does not unsay it.
    if (finish === null && !signal.aborted && !own.signal.aborted) throw toFault(error, apiKey);
  } finally {
    silence.stop();
    // Read to its end, the connection can be used again.
    if (!isRead) own.abort();
  }
  if (signal.aborted) return;
  if (finish !== null) yield { type: "end", end: { ...finish, usage } };
  else if (silence.isOver) throw new UpstreamFault("timeout", "it fell silent");
  else throw new UpstreamFault("bad_answer", "its stream ended in the middle of the answer");
}

function readChunk(raw: unknown): z.infer<typeof chunkSchema> {
  const result = chunkSchema.safeParse(raw);
  if (result.success) return result.data;
  throw new UpstreamFault("bad_answer", "it sent what is no chunk of a chat completion");
}

function toUsage(usage: z.infer<typeof usageSchema> | null | undefined): ChatUsage | null {
  if (usage === null || usage === undefined) return null;
  const promptTokens = usage.prompt_tokens;
  const cachedTokens = Math.min(promptTokens, usage.prompt_tokens_details?.cached_tokens ?? 0);
  return { promptTokens, cachedTokens, completionTokens: usage.completion_tokens };
}

/** Aborts when nothing comes for as long as allowed. It is stopped while the reader has the word: that is no silence. */
function openSilence(controller: AbortController) {
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  const expire = () => {
    isOver = true;
    controller.abort();
  };
  return {
    get isOver() {
      return isOver;
    },
    start(seconds: number) {
      timer = setTimeout(expire, seconds * 1000);
    },
    stop: () => clearTimeout(timer),
  };
}
