// Owns one local model as everyone else sees it: messages -> ids, engine, ids -> text, stop strings, causes and counts.
// It knows neither devices nor HTTP, and keeps nothing between requests.
import type { ChatEvent, ChatModel, ChatRequest, ModelInfo, StopCause } from "./chat-model.ts";
import type { ChatTemplate } from "./text/chat-template.ts";
import type { SequenceEvent, TokenEngine } from "./engine-api.ts";
import { EngineError } from "./errors.ts";
import { scoreTurns } from "./score-turns.ts";
import { createStopStrings } from "./text/stop-strings.ts";
import { createTextStream } from "./text/text-stream.ts";
import type { EncodedPrompt, Tokenizer } from "./text/tokenizer.ts";

export interface LocalModelParts {
  readonly info: ModelInfo;
  readonly engine: TokenEngine;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly stopIds: readonly number[];
  readonly endOfConversationId: number | null;
}

/** Puts a model together; closing it closes the engine. */
export function createLocalModel(parts: LocalModelParts): ChatModel {
  const { info, engine, tokenizer } = parts;
  const stopIds = new Set(parts.stopIds);
  const nothing: ReadonlySet<number> = new Set();

  async function* generate(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, undefined> {
    if (signal.aborted) throw new EngineError("cancelled", "The request was cancelled.");
    // A full queue is cheaper to notice than a long prompt is to encode.
    engine.assertAccepting();
    checkTokenIds(request, engine.vocabSize);
    const { ids: promptIds, decodedSpans } = await encodePrompt(parts, request, signal);
    const events = engine.generate(
      {
        promptIds,
        decodedSpans,
        sampling: request.sampling,
        choiceIndex: request.choiceIndex,
        maxTokens: request.maxTokens,
        stopIds,
        bannedFirstIds: request.mustSpeak ? stopIds : nothing,
        ...(request.sessionId === undefined ? {} : { sessionId: request.sessionId }),
      },
      signal,
    );
    yield* toChatEvents(events, promptIds.length, request.stop);
  }

  async function* toChatEvents(
    events: AsyncIterable<SequenceEvent>,
    promptTokens: number,
    stop: readonly string[],
  ): AsyncGenerator<ChatEvent, void, undefined> {
    const stream = createTextStream(tokenizer);
    const stops = createStopStrings(stop);
    const tokenIds: number[] = [];
    let cachedTokens = 0;
    const end = (cause: StopCause, stopTokens: number): ChatEvent => {
      const usage = { promptTokens, cachedTokens, completionTokens: tokenIds.length + stopTokens };
      return { type: "end", cause, usage, tokenIds };
    };
    let text = "";
    let ending: ChatEvent | null = null;
    // Leaving this loop, however it is left, cancels what the engine still does: so it is left before the last text is shown.
    for await (const event of events) {
      if (event.type === "prompt") {
        cachedTokens = event.cachedTokens;
        yield { type: "prompt", promptTokens, cachedTokens };
        continue;
      }
      const isEnd = event.type === "end";
      if (!isEnd) tokenIds.push(event.id);
      const scan = stops.push(isEnd ? stream.flush() : stream.push(event.id));
      text = isEnd && !scan.isStopped ? scan.text + stops.flush() : scan.text;
      if (isEnd || scan.isStopped) {
        const cause = scan.isStopped ? "stop_string" : causeOf(event, parts.endOfConversationId);
        ending = end(cause, isEnd && event.stopId !== null ? 1 : 0);
        break;
      }
      if (text !== "") yield { type: "text", text };
    }
    if (ending === null) throw new EngineError("ort_failed", "The engine ended a sequence without saying why.");
    if (text !== "") yield { type: "text", text };
    yield ending;
  }

  return {
    info,
    generate,
    countTokens: (text) => tokenizer.encode([{ type: "plain", text }]).length,
    score: (messages, signal, as) => scoreTurns(parts, messages, signal, as),
    endSession: (sessionId) => engine.endSession(sessionId),
    close: () => engine.close(),
  };
}

async function encodePrompt(parts: LocalModelParts, request: ChatRequest, signal: AbortSignal): Promise<EncodedPrompt> {
  const { engine, tokenizer, template, info } = parts;
  const { messages, writeAs = info.role } = request;
  if (writeAs === "assistant" && messages.length === 0) {
    throw new EngineError("invalid_request", "There must be at least one message to answer.", { param: "messages" });
  }
  const { pieces } = template.render(messages, writeAs);
  const { contextWindow } = engine;
  // Prompts not far beyond the window are counted to the end, so that the answer can say how much too long they are.
  const prompt = await tokenizer.encodeWithin(pieces, contextWindow * 4, signal);
  if (prompt.isComplete && prompt.tokens <= contextWindow) return prompt;
  const count = `${prompt.isComplete ? "" : "at least "}${prompt.tokens}`;
  throw new EngineError(
    "context_length_exceeded",
    `This model's maximum context length is ${contextWindow} tokens. However, your messages resulted in ${count} ` +
      "tokens. Please reduce the length of the messages.",
    // A count that is not exact stands in the message alone.
    { param: "messages", contextWindow, ...(prompt.isComplete ? { promptTokens: prompt.tokens } : {}) },
  );
}

function checkTokenIds(request: ChatRequest, vocabSize: number): void {
  const isKnown = (id: number) => Number.isSafeInteger(id) && id >= 0 && id < vocabSize;
  const outside = (id: number, param: string) =>
    new EngineError("invalid_request", `The token id ${id} is outside the model's vocabulary of ${vocabSize}.`, {
      param,
    });
  for (const id of request.sampling.logitBias.keys()) if (!isKnown(id)) throw outside(id, "logit_bias");
  for (const { tokenIds } of request.messages) {
    const wrong = tokenIds?.find((id) => !isKnown(id));
    if (wrong !== undefined) throw outside(wrong, "messages");
  }
}

function causeOf(end: SequenceEvent, endOfConversationId: number | null): StopCause {
  if (end.type !== "end") return "stop_string";
  if (end.reason !== "stop_token") return end.reason;
  return end.stopId !== null && end.stopId === endOfConversationId ? "end_of_conversation" : "end_token";
}
