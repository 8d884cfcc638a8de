// Owns a transcript that a model writes in one go: how it is read, and how its lines are handed out turn by turn.
// It does not know what the model is told to write.
import type { ChatEvent, ChatUsage, ModelRole } from "../../../runtime/chat-model.ts";
import type { SeedRound } from "../dialogue-types.ts";
import type { Player } from "../player.ts";
import type { SideSetup } from "../side.ts";

/** What a line of either speaker begins with. */
export const transcriptLabels: Readonly<Record<ModelRole, string>> = { user: "[Human]", assistant: "[AI]" };

/**
 * The whole rounds of a transcript. What comes before the first human line is the primer's; the last human line and all after
 * it may be cut short, so it never counts; a piece that is not one question and one answer ends the conversation.
 */
export function parseTranscript(text: string): SeedRound[] {
  const rounds: SeedRound[] = [];
  for (const piece of text.split(transcriptLabels.user).slice(1, -1)) {
    const [user, assistant, ...more] = piece.split(transcriptLabels.assistant).map((part) => part.trim());
    if (user === undefined || assistant === undefined || more.length > 0 || user === "" || assistant === "") break;
    rounds.push({ user, assistant });
  }
  return rounds;
}

const free: ChatUsage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

interface Writing {
  readonly rounds: readonly SeedRound[];
  readonly usage: ChatUsage;
}

/** The transcript of one dialogue, written when its first line is wanted. */
export class TranscriptScript {
  readonly #setup: SideSetup;
  readonly #sessionId: string;
  readonly #prompt: string;
  readonly #seed: number;
  #writing: Writing | null = null;

  constructor(setup: SideSetup, sessionId: string, prompt: string, { seed }: { readonly seed: number }) {
    this.#setup = setup;
    this.#sessionId = sessionId;
    this.#prompt = prompt;
    this.#seed = seed;
  }

  get modelId(): string {
    return this.#setup.model.info.id;
  }

  /** Lines of round `index`, from 0; null after the last. Usage is that of the writing, once; after that nothing is computed. */
  async read(
    index: number,
    signal: AbortSignal,
  ): Promise<{ readonly round: SeedRound | null; readonly usage: ChatUsage }> {
    const isFirst = this.#writing === null;
    this.#writing ??= await this.#write(signal);
    const { rounds, usage } = this.#writing;
    return { round: rounds[index] ?? null, usage: isFirst ? usage : free };
  }

  end(): void {
    this.#setup.model.endSession(this.#sessionId);
  }

  async #write(signal: AbortSignal): Promise<Writing> {
    const { model, sampling, maxTokens, stop, system } = this.#setup;
    const messages = [
      ...(system === null ? [] : [{ role: "system" as const, content: system }]),
      { role: "user" as const, content: this.#prompt },
    ];
    const request = {
      messages,
      sampling: { ...sampling, seed: this.#seed },
      choiceIndex: 0,
      maxTokens,
      stop,
      mustSpeak: true,
      sessionId: this.#sessionId,
    };
    let text = "";
    for await (const event of model.generate(request, signal)) {
      if (event.type === "text") text += event.text;
      if (event.type === "end") return { rounds: parseTranscript(text), usage: event.usage };
    }
    throw new Error(`Model '${this.modelId}' stopped in the middle of a transcript without saying why.`);
  }
}

/** Says one speaker's lines of a transcript. */
export class TranscriptPlayer implements Player {
  readonly role: ModelRole;
  readonly #script: TranscriptScript;
  #said = 0;

  constructor(role: ModelRole, script: TranscriptScript) {
    this.role = role;
    this.#script = script;
  }

  get modelId(): string {
    return this.#script.modelId;
  }

  async *speak(_options: object, signal: AbortSignal): AsyncGenerator<ChatEvent, void> {
    const { round, usage } = await this.#script.read(this.#said, signal);
    yield { type: "prompt", promptTokens: usage.promptTokens, cachedTokens: usage.cachedTokens };
    const text = round?.[this.role] ?? "";
    if (text !== "") yield { type: "text", text };
    // A transcript without a single round says nothing; one that has been read ends the conversation.
    const isOver = round === null && this.#said > 0;
    yield { type: "end", cause: isOver ? "end_of_conversation" : "end_token", usage, tokenIds: [] };
  }

  keep(): void {
    this.#said += 1;
  }

  hear(role: ModelRole): void {
    if (role === this.role) this.#said += 1;
  }

  end(): void {
    this.#script.end();
  }
}
