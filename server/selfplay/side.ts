// Owns one side of a dialogue: its model, the messages as that model sees them, and the session that keeps its key-value slot.
// Own turns keep the very ids that were sampled, so the past of a dialogue never changes under its cache.
// It does not know the other side, the rules of a dialogue, or where its tokens go.
import type {
  ChatEvent,
  ChatMessage,
  ChatModel,
  ModelRole,
  SamplingParams,
  StopCause,
} from "../../runtime/chat-model.ts";

/** Sampling parameters of a whole dialogue; the seed is added turn by turn. */
type SideSampling = Omit<SamplingParams, "seed">;

export interface SideSetup {
  readonly model: ChatModel;
  readonly sampling: SideSampling;
  /** Most tokens of one turn; null means until the context window is full. */
  readonly maxTokens: number | null;
  readonly stop: readonly string[];
  /** What this side alone is told before the first turn: an intent or profile for the user, instructions for the assistant. */
  readonly system: string | null;
}

export interface SpeakOptions {
  readonly seed: number;
  /** The turn may not end before it says something (used for openers). */
  readonly mustSpeak: boolean;
  /** Which of several samples of one turn; 0 unless said. */
  readonly choiceIndex?: number;
}

/** A turn as it was sampled, before anything is trimmed. */
export interface SpokenTurn {
  readonly text: string;
  readonly cause: StopCause;
  readonly tokenIds: readonly number[];
}

/** One player: asks its model for turns and remembers what was said. Nothing is remembered until it is told so. */
export class Side {
  readonly role: ModelRole;
  readonly #setup: SideSetup;
  readonly #sessionId: string;
  readonly #messages: ChatMessage[];

  constructor(role: ModelRole, setup: SideSetup, dialogueId: string) {
    this.role = role;
    this.#setup = setup;
    this.#sessionId = `${dialogueId}/${role}`;
    this.#messages = setup.system === null ? [] : [{ role: "system", content: setup.system }];
  }

  get modelId(): string {
    return this.#setup.model.info.id;
  }

  /** Asks the model for this side's next turn. What comes is a draft: it is forgotten unless `keep` is called with it. */
  speak(options: SpeakOptions, signal: AbortSignal): AsyncIterable<ChatEvent> {
    const { model, sampling, maxTokens, stop } = this.#setup;
    const request = {
      messages: [...this.#messages],
      sampling: { ...sampling, seed: options.seed },
      choiceIndex: options.choiceIndex ?? 0,
      maxTokens,
      stop,
      mustSpeak: options.mustSpeak,
      sessionId: this.#sessionId,
    };
    return model.generate(request, signal);
  }

  /** Makes a spoken turn part of this side's past, as it was sampled. */
  keep(turn: SpokenTurn): void {
    // A stop string is cut from the text but not from the ids: those would show the model words that the dialogue does not hold.
    // A remote model reports no ids.
    const isExact = turn.cause !== "stop_string" && turn.tokenIds.length > 0;
    const message = { role: this.role, content: turn.text };
    const isCutOff = turn.cause === "max_tokens";
    this.#messages.push(isExact ? { ...message, tokenIds: turn.tokenIds, isCutOff } : message);
  }

  /** Takes over a turn that this side did not sample: the other side's, or one of the seed. */
  hear(role: ModelRole, content: string): void {
    this.#messages.push({ role, content });
  }

  /** Gives the key-value slot back. */
  end(): void {
    this.#setup.model.endSession(this.#sessionId);
  }
}
