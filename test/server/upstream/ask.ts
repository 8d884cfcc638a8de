// An upstream model as the tests ask it: quick to try again, with its books and the sequence ends it reported.
import { onTestFinished } from "vitest";
import type {
  ChatEvent,
  ChatModel,
  ChatRequest,
  EngineSequenceEnd,
  SamplingParams,
} from "../../../runtime/chat-model.ts";
import { EngineError } from "../../../runtime/errors.ts";
import { createLedger } from "../../../server/upstream/ledger.ts";
import { readUpstreams, type UpstreamSettings } from "../../../server/upstream/upstream-config.ts";
import { createUpstreamModel } from "../../../server/upstream/upstream-model.ts";

/** What a file with the least in it means. */
export function settingsOf(baseUrl: string, over: object = {}, env: Record<string, string> = {}): UpstreamSettings {
  const [settings] = readUpstreams(
    [{ id: "far", baseUrl, model: "far-1", contextWindow: 1000, retryDelayMs: 1, maxRetries: 3, ...over }],
    env,
  );
  if (settings === undefined) throw new Error("no settings");
  return settings;
}

export function openUpstream(baseUrl: string, over: object = {}, env: Record<string, string> = {}, maxWaiting = 100) {
  const ledger = createLedger();
  const ends: EngineSequenceEnd[] = [];
  const observer = {
    onStep: () => {},
    onSequenceEnd: (_: string, end: EngineSequenceEnd) => void ends.push(end),
    onState: () => {},
  };
  const model = createUpstreamModel(settingsOf(baseUrl, over, env), { ledger, observer, maxWaiting, createdAtS: 1 });
  onTestFinished(() => model.close());
  const account = () => {
    const [first] = ledger.accounts();
    if (first === undefined) throw new Error("no account");
    return first;
  };
  return { model, ledger, ends, account };
}

export const plainSampling: SamplingParams = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
  seed: 7,
};

export const requestOf = (over: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "Hello" }],
  sampling: plainSampling,
  choiceIndex: 0,
  maxTokens: null,
  stop: [],
  mustSpeak: false,
  ...over,
});

/** Every event, and the error that ended them. */
export async function ask(model: ChatModel, over: Partial<ChatRequest> = {}, signal = new AbortController().signal) {
  const events: ChatEvent[] = [];
  let error: EngineError | null = null;
  try {
    for await (const event of model.generate(requestOf(over), signal)) events.push(event);
  } catch (thrown) {
    if (!(thrown instanceof EngineError)) throw thrown;
    error = thrown;
  }
  const text = events.map((event) => (event.type === "text" ? event.text : "")).join("");
  const end = events.find((event) => event.type === "end") ?? null;
  return { events, text, end, error };
}
