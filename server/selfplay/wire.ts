// Owns the JSON in which dialogues and their events leave the process, in both formats.
// The last event of a stream is the very object that an answer without streaming is. It knows no transport.
import type { ChatUsage } from "../../runtime/chat-model.ts";
import type { Choice, Dialogue, DialogueEvent, SideRecord, SideUsage, Turn, TurnOrigin } from "./dialogue-types.ts";

export interface WireOptions {
  readonly format: "openai" | "sharegpt";
  /** Unix seconds. */
  readonly createdAtS: number;
  /** Adds the sampled ids to every turn. */
  readonly hasTokenIds: boolean;
  /** How the user's side came about; told where the request leaves it open. */
  readonly simulation?: { readonly simulator: string; readonly mode: string };
}

type JudgedEvent = Extract<DialogueEvent, { type: "judged" }>;
type Json = Readonly<Record<string, unknown>>;

/** One event of the stream of dialogue `id`. */
export function toWireEvent(id: string, event: DialogueEvent, options: WireOptions): Json {
  if (event.type === "end") return toWireDialogue(event.dialogue, options);
  if (event.type === "judged") return toWireVerdict(id, event);
  const { type, role, turn } = event;
  const head = { object: "selfplay.dialogue.event", id, type, role, turn };
  if (event.type === "token") return { ...head, text: event.text };
  const rejection = event.type === "turn_start" || event.rejection === undefined ? {} : { rejection: event.rejection };
  if (event.type === "turn_end") {
    return { ...head, content: event.content, ...toWireOrigin(event, options), ...rejection };
  }
  return { ...head, ...rejection };
}

function toWireVerdict(id: string, { type, turn, judge, verdict, usage }: JudgedEvent): Json {
  return { object: "selfplay.dialogue.event", id, type, turn, judge, verdict, usage: toTurnUsage(usage) };
}

/** The whole dialogue. */
export function toWireDialogue(dialogue: Dialogue, options: WireOptions): Json {
  const { id, seed, turns, discarded, usage, sides } = dialogue;
  return {
    id,
    object: "selfplay.dialogue",
    created: options.createdAtS,
    ...toMessages(dialogue, options.format),
    stop_reason: dialogue.stopReason,
    stopped_by: dialogue.stoppedBy,
    turns: turns.at(-1)?.turn ?? 0,
    usage: { user: toWireUsage(usage.user), assistant: toWireUsage(usage.assistant) },
    seed,
    ...options.simulation,
    models: { user: toWireModel(sides.user), assistant: toWireModel(sides.assistant) },
    system: { user: sides.user.system, assistant: sides.assistant.system },
    sampling: { user: toWireSampling(sides.user), assistant: toWireSampling(sides.assistant) },
    trace: turns.map((turn) => toTrace(turn, options)),
    discarded: discarded.map((turn) => toDiscarded(turn, options)),
  };
}

function toMessages({ turns, sides }: Dialogue, format: WireOptions["format"]): Json {
  const { system } = sides.assistant;
  const messages = [
    ...(system === null ? [] : [{ role: "system", content: system } as const]),
    ...turns.map(({ role, content }) => ({ role, content })),
  ];
  if (format === "openai") return { messages };
  const from = { system: "system", user: "human", assistant: "gpt" };
  return { conversations: messages.map(({ role, content }) => ({ from: from[role], value: content })) };
}

/** How a turn came about. */
export function toTrace(turn: Turn, options: WireOptions): Json {
  const { role, origin } = turn;
  const head = { role, turn: turn.turn };
  return origin === null ? { ...head, cause: "seed" } : { ...head, ...toWireOrigin(origin, options) };
}

/** The same with its words, for a turn that is not part of the dialogue. */
export function toDiscarded(turn: Turn, options: WireOptions): Json {
  const { content, rejection } = turn;
  return { ...toTrace(turn, options), content, ...(rejection === undefined ? {} : { rejection }) };
}

function toWireOrigin(origin: TurnOrigin, { hasTokenIds }: WireOptions): Json {
  const { cause, seed, usage, tokenIds, choice } = origin;
  return {
    cause,
    seed,
    usage: toTurnUsage(usage),
    ...(hasTokenIds ? { token_ids: tokenIds } : {}),
    ...(choice === undefined ? {} : { choice: toWireChoice(choice, hasTokenIds) }),
  };
}

function toWireChoice({ picked, pickedBy, losers, judge }: Choice, hasTokenIds: boolean): Json {
  return {
    picked,
    picked_by: pickedBy,
    rejected: losers.map(({ choiceIndex, content, cause, usage, tokenIds }) => ({
      index: choiceIndex,
      content,
      cause,
      usage: toTurnUsage(usage),
      ...(hasTokenIds ? { token_ids: tokenIds } : {}),
    })),
    judge:
      judge === null
        ? null
        : {
            model: judge.model,
            prompt_hash: judge.promptHash,
            reply: judge.reply,
            ...(judge.usage === undefined ? {} : { usage: toTurnUsage(judge.usage) }),
          },
  };
}

function toTurnUsage(usage: ChatUsage): Json {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    cached_tokens: usage.cachedTokens,
    prefilled_tokens: usage.promptTokens - usage.cachedTokens,
  };
}

function toWireUsage(usage: SideUsage): Json {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    cached_tokens: usage.cachedTokens,
    prefilled_tokens: usage.prefilledTokens,
  };
}

function toWireModel({ model }: SideRecord): Json {
  return {
    id: model.id,
    model_hash: model.modelHash,
    template_hash: model.templateHash,
    precision: model.precision,
    device: model.device,
    context_window: model.contextWindow,
  };
}

function toWireSampling({ sampling, maxTokens, stop }: SideRecord): Json {
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    min_p: sampling.minP,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repetition_penalty: sampling.repetitionPenalty,
    max_tokens: maxTokens,
    stop,
  };
}
