// Owns how a session is shown to a judge: the marks that the published evaluation put around questions and answers.
// Pure text; it does not know what is asked about the session.
import type { ModelRole } from "../../runtime/chat-model.ts";

export interface JudgedTurn {
  readonly role: ModelRole;
  readonly content: string;
}

const headings: Readonly<Record<ModelRole, string>> = {
  user: "#[Human's question]#",
  assistant: "#[Assistant's answer]#",
};

/** A whole session. */
export function renderSession(turns: readonly JudgedTurn[]): string {
  const body = turns.map(({ role, content }) => `${headings[role]}\n${content}\n\n`).join("");
  return `#[Start of multi-round conversation]#\n\n${body}#[End of multi-round conversation]#`;
}

/** A session that is open at its last question, and the answers to choose from. */
export function renderCandidates(turns: readonly JudgedTurn[], answers: readonly string[]): string {
  const listed = answers.map((answer, index) => `#[Answer ${index + 1}]#\n${answer}\n`).join("\n");
  return `${renderSession(turns)}\n\n${listed}`;
}
