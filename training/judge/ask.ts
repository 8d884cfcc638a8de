// Owns asking a judge: an instruction and what it is about, any ChatModel, again while its reply cannot be read.
// It knows neither what is judged nor how a reply is read.
import { EngineError } from "../../runtime/errors.ts";
import type { ChatModel, ChatUsage } from "../../runtime/chat-model.ts";
import { promptHash } from "./prompts.ts";

export interface JudgeSetup {
  readonly model: ChatModel;
  /** How often an answer that cannot be read is asked for again. */
  readonly retries: number;
}

export interface JudgeQuestion<T> {
  readonly instruction: string;
  /** What is to be judged. */
  readonly material: string;
  /** null when the reply cannot be read. */
  readonly parse: (reply: string) => T | null;
  readonly seed: number;
}

export interface JudgeAnswer<T> {
  /** null when no reply could be read. */
  readonly value: T | null;
  /** The last reply. */
  readonly reply: string;
  /** How often it was asked. */
  readonly asked: number;
  /** The material does not fit into its window, so nothing was judged. */
  readonly isTooLong: boolean;
  readonly model: string;
  readonly promptHash: string;
  /** Of all replies together, those that could not be read included. */
  readonly usage: ChatUsage;
}

/** Long enough for a few marks after some thought. */
const mostReplyTokens = 512;

/** A second try at temperature 0 would say the same again. */
const retryTemperature = 0.7;

/** Asks until a reply can be read, or as often as the setup allows. Throws what the model throws, save for a prompt that is too long. */
export async function askJudge<T>(
  { model, retries }: JudgeSetup,
  question: JudgeQuestion<T>,
  signal: AbortSignal,
): Promise<JudgeAnswer<T>> {
  const { instruction, material, parse, seed } = question;
  const record = { model: model.info.id, promptHash: promptHash(instruction) };
  let reply = "";
  let usage: ChatUsage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  for (let attempt = 0; attempt <= retries; attempt += 1) {
    reply = "";
    const request = {
      messages: [{ role: "user" as const, content: `${instruction}\n\n${material}` }],
      sampling: {
        temperature: attempt === 0 ? 0 : retryTemperature,
        topP: 1,
        topK: 0,
        minP: 0,
        presencePenalty: 0,
        frequencyPenalty: 0,
        repetitionPenalty: 1,
        logitBias: new Map<number, number>(),
        seed,
      },
      choiceIndex: attempt,
      maxTokens: mostReplyTokens,
      stop: [],
      mustSpeak: false,
    };
    try {
      for await (const event of model.generate(request, signal)) {
        if (event.type === "text") reply += event.text;
        if (event.type === "end") usage = sumOf(usage, event.usage);
      }
    } catch (error) {
      const isTooLong = error instanceof EngineError && error.code === "context_length_exceeded";
      if (!isTooLong) throw error;
      return { value: null, reply, asked: attempt + 1, isTooLong, usage, ...record };
    }
    const value = parse(reply);
    if (value !== null) return { value, reply, asked: attempt + 1, isTooLong: false, usage, ...record };
  }
  return { value: null, reply, asked: retries + 1, isTooLong: false, usage, ...record };
}

function sumOf(a: ChatUsage, b: ChatUsage): ChatUsage {
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    cachedTokens: a.cachedTokens + b.cachedTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    ...(a.isEstimated === true || b.isEstimated === true ? { isEstimated: true } : {}),
  };
}
