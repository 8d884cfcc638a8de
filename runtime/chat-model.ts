// The seam everything shares: what a role model is asked and what it answers.
// Local models, remote providers and test doubles implement ChatModel; routes, self-play and evaluation use nothing else.
// Types only. It knows neither HTTP nor tokenizers nor devices.

/** Whose turn a model writes: the user's (a simulator) or the assistant's. */
export type ModelRole = "user" | "assistant";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
  /**
   * The ids this very model sampled for `content`, without the end-of-turn token. When present they are used instead of
   * tokenizing `content` again, so that the past of a dialogue never changes under its key-value cache.
   */
  readonly tokenIds?: readonly number[];
  /** The turn ended for want of room or tokens: its last id was sampled, but never fed to the model. */
  readonly isCutOff?: boolean;
}

/** How the next token is drawn. Applied in this order: bias, penalties, temperature, top-k, top-p, min-p. */
export interface SamplingParams {
  /** 0 means greedy. */
  readonly temperature: number;
  /** 1 switches it off. */
  readonly topP: number;
  /** 0 switches it off. */
  readonly topK: number;
  /** 0 switches it off. */
  readonly minP: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** 1 switches it off. */
  readonly repetitionPenalty: number;
  /** Token id → value added to its logit. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** A safe integer. Equal seeds give equal draws, whatever else runs beside the request. */
  readonly seed: number;
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly sampling: SamplingParams;
  /** Which of several choices for one prompt this is: part of the random stream. */
  readonly choiceIndex: number;
  /** Most tokens to sample; null means until the context window is full. */
  readonly maxTokens: number | null;
  readonly stop: readonly string[];
  /** The first sampled token may not end the turn or the conversation (used for openers). */
  readonly mustSpeak: boolean;
  /**
   * Whose turn is opened, where that is not the model's own: an assistant then writes what a user might say next. Only for
   * models whose template is at hand; others refuse.
   */
  readonly writeAs?: ModelRole;
  /** Keeps the key-value slot for later requests of the same session, until `endSession`. */
  readonly sessionId?: string;
}

export interface ChatUsage {
  /** Tokens of the rendered prompt. */
  readonly promptTokens: number;
  /** Those of them that were already in the key-value cache. */
  readonly cachedTokens: number;
  /** Every sampled token, the end-of-turn token included. */
  readonly completionTokens: number;
  /** The counts are guesses: a remote server gave none. */
  readonly isEstimated?: boolean;
}

/** Why a turn ended. `window`: the context window is full and the turn is unfinished. */
export type StopCause = "end_token" | "end_of_conversation" | "stop_string" | "max_tokens" | "window";

export type ChatEvent =
  /** Once, when the prompt is in the cache and the first token is about to come. */
  | { readonly type: "prompt"; readonly promptTokens: number; readonly cachedTokens: number }
  /** Whole characters only; never empty. */
  | { readonly type: "text"; readonly text: string }
  /** Once, last. `tokenIds` are the sampled ids without a final end token. */
  | {
      readonly type: "end";
      readonly cause: StopCause;
      readonly usage: ChatUsage;
      readonly tokenIds: readonly number[];
    };

/** What is known of a served model without running it. */
export interface ModelInfo {
  readonly id: string;
  readonly role: ModelRole;
  /** Tokens, prompt and reply together. */
  readonly contextWindow: number;
  /** Unix seconds. */
  readonly createdAtS: number;
  readonly ownedBy: string;
  /** `cpu`, `cuda`, `webgpu`, or `remote`. */
  readonly device: string;
  readonly precision: string;
  /** SHA-256 of the weights' manifest; changes whenever an answer could. */
  readonly modelHash: string;
  /** SHA-256 of the chat template string. */
  readonly templateHash: string;
  /** Role under which a reply is returned over HTTP unless the request says otherwise. */
  readonly responseRole: ModelRole;
  readonly vocabSize: number;
  /** The model's own recommendation (generation_config.json); self-play's default. */
  readonly recommendedSampling: Pick<SamplingParams, "temperature" | "topP" | "topK" | "minP">;
  /** How it came about, as its manifest notes it, with its licence; absent for models elsewhere. */
  readonly provenance?: Readonly<Record<string, unknown>>;
}

/** How probable a model finds a turn. */
export interface TurnScore {
  /** Which of the messages, from 0. */
  readonly messageIndex: number;
  /** The turn's ids, with the token that ends it where the template writes one. */
  readonly tokenIds: readonly number[];
  /** For each of them, the natural logarithm of its probability given all that was said before. */
  readonly logProbabilities: readonly number[];
}

export interface ChatModel {
  readonly info: ModelInfo;
  /**
   * Writes the model's next turn. Leaving the loop early, or aborting the signal, cancels the work at its next step.
   * Throws EngineError (runtime/errors.ts): before the first event for a refused request, later for a failed device.
   */
  generate(request: ChatRequest, signal: AbortSignal): AsyncIterable<ChatEvent>;
  /**
   * Scores every turn of one role, in order; of the model's own unless `as` names the other. Absent where a model cannot.
   * Throws EngineError for a dialogue longer than the window; aborting cancels at the next step.
   */
  score?(messages: readonly ChatMessage[], signal: AbortSignal, as?: ModelRole): Promise<readonly TurnScore[]>;
  /** Tokens of a text, special ones not counted. Absent where the model's tokenizer is not known. */
  countTokens?(text: string): number;
  /** Gives back what `sessionId` kept. Unknown sessions are ignored. */
  endSession(sessionId: string): void;
  /** Refuses new requests, cancels running ones and releases everything. Resolves when nothing is held any more. */
  close(): Promise<void>;
}

/** One run of the network, for metrics. */
export interface EngineStep {
  readonly kind: "prefill" | "decode";
  /** Sequences in the run, padding not counted. */
  readonly rows: number;
  /** Tokens computed, padding not counted. */
  readonly tokens: number;
  readonly durationMs: number;
}

/** A sequence that left the engine, however it left. */
export interface EngineSequenceEnd {
  readonly outcome: "stop" | "length" | "abort" | "error";
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly queueMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** From submission to the first token; null when none came. */
  readonly firstTokenMs: number | null;
}

/** Point-in-time state, for gauges. */
export interface EngineState {
  readonly waiting: number;
  readonly waitingTokens: number;
  readonly running: number;
  readonly slots: number;
  readonly usedSlots: number;
  readonly cachedTokens: number;
  readonly capacityTokens: number;
}

/** Where the runtime reports what it does. Implementations must be quick and must not throw. */
export interface EngineObserver {
  onStep(modelId: string, step: EngineStep): void;
  onSequenceEnd(modelId: string, end: EngineSequenceEnd): void;
  onState(modelId: string, state: EngineState): void;
}
