// Owns a player whose model is told, anew for every turn, what to write: an assistant that plays the user.
// What it is told is composed from the dialogue so far by whoever opens it; it knows no wording itself.
import type { ChatEvent, ChatMessage, ModelRole } from "../../../runtime/chat-model.ts";
import type { Player } from "../player.ts";
import type { SideSetup, SpeakOptions, SpokenTurn } from "../side.ts";

/** What the model is told for one turn. */
interface TurnPrompt {
  readonly messages: readonly ChatMessage[];
  /** Texts that end the turn, besides those of the request. */
  readonly stop?: readonly string[];
  /** Whose turn the model's template opens; its own unless said. */
  readonly writeAs?: ModelRole;
}

/** Makes the prompt of the next turn from the dialogue so far, the system message left out. */
export type ComposeTurn = (past: readonly ChatMessage[]) => TurnPrompt;

/** Speaks what its model writes for a composed prompt. */
export class PromptedPlayer implements Player {
  readonly role: ModelRole;
  readonly #setup: SideSetup;
  readonly #sessionId: string;
  readonly #compose: ComposeTurn;
  readonly #past: ChatMessage[] = [];

  constructor(role: ModelRole, setup: SideSetup, sessionId: string, compose: ComposeTurn) {
    this.role = role;
    this.#setup = setup;
    this.#sessionId = sessionId;
    this.#compose = compose;
  }

  get modelId(): string {
    return this.#setup.model.info.id;
  }

  speak({ seed, mustSpeak }: SpeakOptions, signal: AbortSignal): AsyncIterable<ChatEvent> {
    const { model, sampling, maxTokens, stop, system } = this.#setup;
    const prompt = this.#compose(this.#past);
    const told: readonly ChatMessage[] = system === null ? [] : [{ role: "system", content: system }];
    const request = {
      messages: [...told, ...prompt.messages],
      sampling: { ...sampling, seed },
      choiceIndex: 0,
      maxTokens,
      stop: [...stop, ...(prompt.stop ?? [])],
      mustSpeak,
      sessionId: this.#sessionId,
      ...(prompt.writeAs === undefined ? {} : { writeAs: prompt.writeAs }),
    };
    return model.generate(request, signal);
  }

  keep({ text, cause, tokenIds }: SpokenTurn): void {
    const message = { role: this.role, content: text.trim() };
    // As an ordinary side does. A prompt that puts its words elsewhere than they were sampled leaves the ids out.
    const isExact = cause !== "stop_string" && tokenIds.length > 0;
    this.#past.push(isExact ? { ...message, tokenIds, isCutOff: cause === "max_tokens" } : message);
  }

  hear(role: ModelRole, content: string): void {
    this.#past.push({ role, content });
  }

  end(): void {
    this.#setup.model.endSession(this.#sessionId);
  }
}
