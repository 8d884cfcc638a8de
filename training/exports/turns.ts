// Owns the two ways to say whose turns are trained: roles as they are, for trainers that mask by role, and roles swapped, for
// trainers that train the assistant's turns alone. It knows no format.
import type { ModelRole } from "../../runtime/chat-model.ts";
import { CannotSay, type ExportRow } from "./format.ts";

/**
 * What the first turn answers where roles are swapped and nobody spoke before: trainers refuse a dialogue that begins with the
 * assistant. Serving has to say the same.
 */
export const opener = "[start]";

/** A turn under the role that the trainer is told. */
interface ToldTurn {
  readonly role: ModelRole;
  readonly content: string;
  readonly isTrained: boolean;
  /** Which of the conversation's utterances; null for the opener. */
  readonly utterance: number | null;
}

export interface ToldDialogue {
  readonly system: string | null;
  readonly turns: readonly ToldTurn[];
}

/** Roles as they are. */
export function inOwnRoles({ conversation }: ExportRow, role: ModelRole): ToldDialogue {
  const turns = conversation.utterances.map((said, index): ToldTurn => ({
    role: said.role,
    content: said.content,
    isTrained: said.role === role && said.isContext !== true && (index > 0 || role === "user"),
    utterance: index,
  }));
  return { system: conversation.system[role], turns };
}

/** The same without an assistant's first turn, for trainers that would train on it although it answers nothing. */
export function withoutGreeting({ system, turns }: ToldDialogue, role: ModelRole): ToldDialogue {
  return { system, turns: role === "assistant" && turns[0]?.role === "assistant" ? turns.slice(1) : turns };
}

/**
 * The trained role is the assistant: user first, strictly alternating, assistant last. The user's side gets the opener where it
 * speaks first; an assistant's first turn, which answers nothing and is not trained, is left out.
 */
export function asAssistant(row: ExportRow, role: ModelRole): ToldDialogue {
  const { system, turns } = inOwnRoles(row, role);
  const told = role === "assistant" ? turns : turns.map((turn) => Object.assign({}, turn, { role: other(turn.role) }));
  const startsRight = told[0]?.role === "user";
  if (role === "assistant") return alternating(withoutGreeting({ system, turns: told }, role));
  const opening: ToldTurn = { role: "user", content: opener, isTrained: false, utterance: null };
  return alternating({ system, turns: startsRight ? told : [opening, ...told] });
}

const other = (role: ModelRole): ModelRole => (role === "user" ? "assistant" : "user");

function alternating(dialogue: ToldDialogue): ToldDialogue {
  const isBroken = dialogue.turns.some((turn, index) => turn.role !== (index % 2 === 0 ? "user" : "assistant"));
  if (isBroken) throw new CannotSay("two turns of one role in a row");
  if (dialogue.turns.length < 2) throw new CannotSay("no turn to train on");
  return dialogue;
}

/** `{role, content}`, the system message first; nothing else, as strict readers want it. */
export function toMessages({ system, turns }: ToldDialogue): readonly { role: string; content: string }[] {
  const first = system === null ? [] : [{ role: "system", content: system }];
  return [...first, ...turns.map(({ role, content }) => ({ role, content }))];
}

const names = { user: "human", assistant: "gpt" } as const;

/** `{from, value}` as ShareGPT has it, the system message first where `withSystem`. */
export function toFromValue(
  { system, turns }: ToldDialogue,
  withSystem: boolean,
): readonly { from: string; value: string }[] {
  const first = system === null || !withSystem ? [] : [{ from: "system", value: system }];
  return [...first, ...turns.map(({ role, content }) => ({ from: names[role], value: content }))];
}
