// Owns reading questions out of JSON Lines: plain texts, or dialogues of which the user's turns are taken.
// It knows files' contents, not files; every complaint names the line.
import { z } from "zod";
import type { LabelledQuestion } from "./human-training.ts";

const userNames = new Set(["user", "human"]);

const rowSchema = z.union(
  [
    z.object({ text: z.string(), source: z.string().optional() }).transform(({ text, source }) => ({
      texts: [text],
      source,
    })),
    z
      .object({
        id: z.string().optional(),
        messages: z.array(z.object({ role: z.string(), content: z.string() })),
      })
      .transform(({ id, messages }) => ({
        texts: messages.filter(({ role }) => userNames.has(role)).map(({ content }) => content),
        source: id,
      })),
    z
      .object({
        id: z.string().optional(),
        conversations: z.array(z.object({ from: z.string(), value: z.string() })),
      })
      .transform(({ id, conversations }) => ({
        texts: conversations.filter(({ from }) => userNames.has(from)).map(({ value }) => value),
        source: id,
      })),
  ],
  { error: 'needs "text", "messages" (role, content) or "conversations" (from, value)' },
);

/** The questions of a file's content. `name` is its name in complaints, and part of each question's source. Throws an Error. */
export function readQuestions(name: string, content: string, isHuman: boolean): LabelledQuestion[] {
  const questions: LabelledQuestion[] = [];
  for (const [index, line] of content.split("\n").entries()) {
    if (line.trim() === "") continue;
    const row = rowSchema.safeParse(parseJson(line));
    if (!row.success) {
      throw new Error(`${name}, line ${index + 1}: ${row.error.issues[0]?.message ?? "unreadable"}.`);
    }
    const source = `${name}#${row.data.source ?? index + 1}`;
    for (const text of row.data.texts) questions.push({ text, isHuman, source });
  }
  return questions;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
