// Owns messages -> prompt pieces: a model folder's Jinja template, rendered as `transformers` renders it.
// What people typed can never become a control token, and contents whose ids are known are not tokenized again.
// It knows neither ids' meaning nor the network; runtime/text/tokenizer.ts makes ids of the pieces.
import { createHash } from "node:crypto";
import { Template } from "@huggingface/jinja";
import type { ChatMessage, ModelRole } from "../chat-model.ts";
import { createContentMarker } from "./content-marks.ts";
import { EngineError } from "../errors.ts";
import type { PromptPiece } from "./prompt-sections.ts";

interface RenderedPrompt {
  readonly pieces: readonly PromptPiece[];
  /** False when the template would not carry some message's known ids, so that its content is tokenized again. */
  readonly usesKnownIds: boolean;
}

/** Messages, and whether the turn of the model is to be opened. */
type RenderText = (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string;

export interface ChatTemplate {
  /** SHA-256 of the template string. */
  readonly hash: string;
  /** White space between the opened turn and its words, which the model therefore says itself; mostly none. */
  turnOpening(writeAs?: ModelRole): string;
  /**
   * The prompt up to where the model goes on writing, as `writeAs`, by default in its own role. Throws
   * EngineError("invalid_request", param "messages") with the template's own words when it refuses the messages.
   */
  render(messages: readonly ChatMessage[], writeAs?: ModelRole): RenderedPrompt;
  /** The rendering as one string, as `transformers` gives it. */
  readonly renderText: RenderText;
}

export interface ChatTemplateSetup {
  /** The Jinja source, line ends already LF. */
  readonly source: string;
  /** `bos_token`, `eos_token` and the like, as the template sees them. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Strings that typed text may never become. */
  readonly controlTokens: readonly string[];
  /** Whose turn the model writes. */
  readonly role: ModelRole;
}

/** Compiles a template and finds how it opens the model's turn. Throws EngineError("bad_model") for a broken one. */
export function createChatTemplate(setup: ChatTemplateSetup): ChatTemplate {
  const { source, specialTokens, controlTokens, role } = setup;
  const template = compile(source);
  const renderText = (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => {
    // The template may look at roles and contents only; known ids are no business of its.
    const seen = messages.map((message) => ({ role: message.role, content: message.content }));
    try {
      return template.render({ ...specialTokens, messages: seen, add_generation_prompt: addGenerationPrompt });
    } catch (cause) {
      throw new EngineError(
        "invalid_request",
        `The model's chat template refuses these messages: ${reasonOf(cause)}`,
        { param: "messages" },
        { cause },
      );
    }
  };
  const mark = createContentMarker(controlTokens);
  const opening = openingSpace(renderText, role);

  return {
    hash: createHash("sha256").update(source).digest("hex"),
    turnOpening: (writeAs = role) => (writeAs === role ? opening : ""),
    renderText,
    render(messages, writeAs = role) {
      const marks = mark(messages.map((message) => message.content).concat(source, Object.values(specialTokens)));
      const knownIds = (index: number): PromptPiece => {
        const ids = messages[index]?.tokenIds ?? [];
        return { type: "ids", ids, decodedTokens: ids.length - (messages[index]?.isCutOff === true ? 1 : 0) };
      };
      const marked = (isStandIn: (message: ChatMessage) => boolean) =>
        messages.map((message, index) => ({
          role: message.role,
          content: isStandIn(message) ? marks.standIn(index) : marks.protect(message.content),
        }));
      const open = (shown: readonly ChatMessage[]) => {
        if (writeAs === role) return renderText(shown, true);
        // Templates open one role's turn only: the other's is cut off where its words would begin.
        const standIn = marks.standIn(messages.length);
        const spoken = renderText([...shown, { role: writeAs, content: standIn }], false);
        const at = spoken.lastIndexOf(standIn);
        if (at !== -1) return spoken.slice(0, at);
        throw new EngineError("invalid_request", `The model's chat template does not show the ${writeAs}'s turn.`);
      };
      const expected = messages.flatMap((message, index) => (isKnown(message) ? [index] : []));
      const rendering = open(marked(isKnown));
      if (marks.standInsOf(rendering).join() === expected.join()) {
        const pieces = marks.toPieces(rendering, knownIds);
        return { pieces: writeAs === role ? dropOpening(pieces, opening) : pieces, usesKnownIds: true };
      }
      // A template that drops or repeats contents: what it makes of the words themselves is all that can be right.
      const plain = open(marked(() => false));
      return { pieces: marks.toPieces(plain, knownIds), usesKnownIds: false };
    },
  };
}

/**
 * Throws EngineError("bad_model") when the template cannot render a plain conversation, or when its generation prompt
 * opens the turn of the other role. A template that opens neither turn, or both for want of a generation prompt, passes.
 */
export function checkRole(template: ChatTemplate, role: ModelRole): void {
  try {
    template.renderText(historyBefore(role), true);
  } catch (cause) {
    const reason = cause instanceof EngineError ? reasonOf(cause.cause) : reasonOf(cause);
    throw new EngineError(
      "bad_model",
      `The chat template cannot render a plain conversation: ${reason}`,
      {},
      { cause },
    );
  }
  const other = role === "user" ? "assistant" : "user";
  if (opens(template.renderText, role) !== null || opens(template.renderText, other) === null) return;
  throw new EngineError(
    "bad_model",
    `The chat template opens the ${other}'s turn, but the manifest says that the model's role is "${role}".`,
  );
}

const isKnown = (message: ChatMessage) => message.tokenIds !== undefined;

const probeTurn = "probe-turn";

function historyBefore(role: ModelRole): ChatMessage[] {
  const question = { role: "user", content: "probe-question" } as const;
  return role === "assistant" ? [question] : [question, { role: "assistant", content: "probe-answer" }];
}

/** What the template writes between the generation prompt and the words of that role's turn; null if it opens no such turn. */
function opens(renderText: RenderText, role: ModelRole): string | null {
  const history = historyBefore(role);
  try {
    const opened = renderText(history, true);
    const spoken = renderText([...history, { role, content: probeTurn }], false);
    const at = spoken.indexOf(probeTurn);
    return spoken.startsWith(opened) && at >= opened.length ? spoken.slice(opened.length, at) : null;
  } catch {
    return null;
  }
}

/** White space that the template writes before the words of the model's turn, but not when it asks the model to go on. */
function openingSpace(renderText: RenderText, role: ModelRole): string {
  const between = opens(renderText, role);
  return between !== null && between.trim() === "" ? between : "";
}

/** The model's own ids follow the generation prompt directly, as they did when they were sampled. */
function dropOpening(pieces: readonly PromptPiece[], opening: string): readonly PromptPiece[] {
  if (opening === "") return pieces;
  return pieces.map((piece, index) => {
    const isBeforeIds = pieces[index + 1]?.type === "ids";
    if (piece.type !== "markup" || !isBeforeIds || !piece.text.endsWith(opening)) return piece;
    return { type: "markup" as const, text: piece.text.slice(0, -opening.length) };
  });
}

function compile(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new EngineError("bad_model", `The chat template cannot be read: ${reasonOf(cause)}`, {}, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
