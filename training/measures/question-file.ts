// Owns reading questions out of JSON Lines: plain texts, or dialogues of which the user's turns are taken.
// It knows files' contents, not files; every complaint names the line.
import { basename } from "node:path";
import { z } from "zod";
import type { LabelledQuestion } from "./human-training.ts";

const userNames = new Set(["user", "human"]);

/** Of a self-play job, whose id is another in every run; which dialogue it is stays the same. */
const jobDialogue = /^dlg_[0-9a-f]{32}_(\d+)$/;

const rowSchema = z.union(
  [
    z.object({ text: z.string(), source: z.string().optional(), domain: z.string().optional() }).transform((row) => ({
      texts: [row.text],
      source: row.source,
      domain: row.domain,
    })),
    z
      .object({
        id: z.string().optional(),
        domain: z.string().optional(),
        messages: z.array(z.object({ role: z.string(), content: z.string() })),
      })
      .transform(({ id, domain, messages }) => ({
        texts: messages.filter(({ role }) => userNames.has(role)).map(({ content }) => content),
        source: id?.replace(jobDialogue, "$1"),
        domain,
      })),
    z
      .object({
        id: z.string().optional(),
        domain: z.string().optional(),
        conversations: z.array(z.object({ from: z.string(), value: z.string() })),
      })
      .transform(({ id, domain, conversations }) => ({
        texts: conversations.filter(({ from }) => userNames.has(from)).map(({ value }) => value),
        source: id?.replace(jobDialogue, "$1"),
        domain,
      })),
  ],
  { error: 'needs "text", "messages" (role, content) or "conversations" (from, value)' },
);

const labelledSchema = z.object({ text: z.string(), label: z.string(), role: z.string().default("user") });

/** The questions of a file's content. `name` is its path in complaints; its last part is in each source. Throws an Error. */
export function readQuestions(name: string, content: string, isHuman: boolean): LabelledQuestion[] {
  const questions: LabelledQuestion[] = [];
  for (const [index, line] of content.split("\n").entries()) {
    if (line.trim() === "") continue;
    const row = rowSchema.safeParse(parseJson(line));
    if (!row.success) {
      throw new Error(`${name}, line ${index + 1}: ${row.error.issues[0]?.message ?? "unreadable"}.`);
    }
    const source = `${basename(name)}#${row.data.source ?? index + 1}`;
    const { domain, texts } = row.data;
    for (const text of texts)
      questions.push({ text, isHuman, source, ...(domain === undefined ? {} : { subject: domain }) });
  }
  return questions;
}

/** The same of rows that say themselves who wrote them: `label` is "human" or a model's name. Others count as people's. */
export function readLabelledQuestions(name: string, content: string): LabelledQuestion[] {
  const lines = content.split("\n").filter((line) => line.trim() !== "");
  return lines.flatMap((line, index) => {
    const row = labelledSchema.safeParse(parseJson(line));
    if (!row.success) return readQuestions(name, line, true);
    const { text, label, role } = row.data;
    return userNames.has(role) ? [{ text, isHuman: label === "human", source: `${basename(name)}#${index + 1}` }] : [];
  });
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
