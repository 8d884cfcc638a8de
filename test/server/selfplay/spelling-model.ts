// A role model of a few lines that keeps every promise of ChatModel: window, cache, sessions, cancellation. Its replies are scripted,
// its tokens are characters. What it samples has other ids than what it tokenizes, so a caller that does not hand sampled ids back
// is caught by the cache figures. It keeps a record of all it was asked.
import type {
  ChatEvent,
  ChatMessage,
  ChatModel,
  ChatRequest,
  ModelInfo,
  ModelRole,
  StopCause,
} from "../../../runtime/chat-model.ts";
import { EngineError } from "../../../runtime/errors.ts";

export interface Reply {
  readonly text: string;
  /** How the turn ends once the text is said; `end_token` unless told otherwise. */
  readonly cause?: Exclude<StopCause, "window">;
  /** Thrown once the text is said. */
  readonly fails?: Error;
  /** Thrown in place of any event. */
  readonly refuses?: Error;
}

export type Script = readonly (Reply | string)[] | ((request: ChatRequest, call: number) => Reply | string);

const BEGIN = 1;
const END = 2;
const ROLE_IDS = { system: 3, user: 4, assistant: 5 };
const SAMPLED = 0x200000;

export class SpellingModel implements ChatModel {
  readonly info: ModelInfo;
  readonly requests: ChatRequest[] = [];
  /** The rendered prompt of every request. */
  readonly prompts: number[][] = [];
  /** Session id → ids whose keys and values are kept. */
  readonly sessions = new Map<string, readonly number[]>();
  readonly endedSessions: string[] = [];
  running = 0;
  readonly #script: Script;

  constructor(role: ModelRole, script: Script, contextWindow = 1000) {
    this.#script = script;
    this.info = {
      id: role === "user" ? "usergpt" : "realm",
      role,
      contextWindow,
      createdAtS: 0,
      ownedBy: "test",
      device: "cpu",
      precision: "float32",
      modelHash: `model-hash-${role}`,
      templateHash: `template-hash-${role}`,
      responseRole: "assistant",
      vocabSize: 2 * SAMPLED,
      recommendedSampling: { temperature: 0.7, topP: 0.9, topK: 40, minP: 0.05 },
    };
  }

  async *generate(request: ChatRequest, signal: AbortSignal): AsyncIterable<ChatEvent> {
    const call = this.requests.push(request) - 1;
    const prompt = this.#render(request.messages);
    this.prompts.push(prompt);
    const reply = this.#reply(request, call);
    if (reply.refuses !== undefined) throw reply.refuses;
    if (prompt.length >= this.info.contextWindow) {
      throw new EngineError("context_length_exceeded", `${prompt.length} tokens do not fit.`);
    }
    this.running += 1;
    const context = [...prompt];
    try {
      const cachedTokens = commonPrefix(this.sessions.get(request.sessionId ?? "") ?? [], prompt);
      yield { type: "prompt", promptTokens: prompt.length, cachedTokens };
      const tokenIds: number[] = [];
      let cause: StopCause = reply.cause ?? "end_token";
      for (const character of reply.text) {
        if (context.length >= this.info.contextWindow) {
          cause = "window";
          break;
        }
        await nextMacrotask(signal);
        const id = SAMPLED + (character.codePointAt(0) ?? 0);
        tokenIds.push(id);
        context.push(id);
        yield { type: "text", text: character };
      }
      if (reply.fails !== undefined) throw reply.fails;
      const completionTokens = tokenIds.length + (cause.startsWith("end_") ? 1 : 0);
      yield { type: "end", cause, usage: { promptTokens: prompt.length, cachedTokens, completionTokens }, tokenIds };
    } finally {
      this.running -= 1;
      if (request.sessionId !== undefined) this.sessions.set(request.sessionId, context);
    }
  }

  endSession(sessionId: string): void {
    this.sessions.delete(sessionId);
    this.endedSessions.push(sessionId);
  }

  async close(): Promise<void> {}

  #reply(request: ChatRequest, call: number): Reply {
    const said = typeof this.#script === "function" ? this.#script(request, call) : this.#script[call];
    if (said === undefined)
      throw new Error(`${this.info.id} was asked for reply ${call}, which its script does not have.`);
    return typeof said === "string" ? { text: said } : said;
  }

  #render(messages: readonly ChatMessage[]): number[] {
    const rounds = messages.map((m) => [ROLE_IDS[m.role], ...(m.tokenIds ?? spell(m.content)), END]);
    return [BEGIN, ...rounds.flat(), ROLE_IDS[this.info.role]];
  }
}

function spell(text: string): number[] {
  return Array.from(text, (character) => 0x10 + (character.codePointAt(0) ?? 0));
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = a.findIndex((id, index) => id !== b[index]);
  return end === -1 ? a.length : end;
}

async function nextMacrotask(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  if (signal.aborted) throw new EngineError("cancelled", "The request was cancelled.");
}
