// Reads exports back for tests: with the readers of training/sources where they know the form, else by undoing what it did.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import type { ModelRole } from "../../../runtime/chat-model.ts";
import type { Conversation, Utterance } from "../../../training/conversation.ts";
import type { Format, Part } from "../../../training/exports/format.ts";
import { opener } from "../../../training/exports/turns.ts";
import { readSource } from "../../../training/sources/read-source.ts";

const never = new AbortController().signal;

/** Who said what, and what was said first. */
export interface Dialogue {
  readonly system: string | null;
  readonly turns: readonly Pick<Utterance, "role" | "content">[];
}

export const dialogueOf = ({ system, utterances }: Conversation, role: ModelRole): Dialogue => ({
  system: system[role],
  turns: utterances.map(({ role: speaker, content }) => ({ role: speaker, content })),
});

const other = (role: ModelRole): ModelRole => (role === "user" ? "assistant" : "user");

function unswapped({ system, turns }: Dialogue): Dialogue {
  const spoken = turns.map(({ role, content }) => ({ role: other(role), content }));
  const isOpened = spoken[0]?.role === "assistant" && spoken[0].content === opener;
  return { system, turns: isOpened ? spoken.slice(1) : spoken };
}

async function bySources(path: string): Promise<Dialogue[]> {
  const dialogues: Dialogue[] = [];
  for await (const row of readSource(path, { format: null, store: { url: null, data: null } }, never)) {
    if (row.kind !== "conversation") throw new Error(`Not read: ${JSON.stringify(row)}`);
    dialogues.push(dialogueOf(row.conversation, "assistant"));
  }
  return dialogues;
}

/** Parquet rows as plain objects. */
export async function parquetRows(path: string): Promise<Record<string, unknown>[]> {
  return (await parquetReadObjects({ file: await asyncBufferFromFile(path) })) as Record<string, unknown>[];
}

function byMessages(messages: unknown): Dialogue {
  const all = messages as readonly { role: string; content: string }[];
  const [first] = all;
  const system = first?.role === "system" ? first.content : null;
  return { system, turns: (system === null ? all : all.slice(1)) as Dialogue["turns"] };
}

/** The dialogues of one part, in their own roles again. */
export async function readBack(folder: string, format: Format, role: ModelRole, part: Part): Promise<Dialogue[]> {
  const undo = (dialogues: readonly Dialogue[]) =>
    format.userSide === "swap" && role === "user" ? dialogues.map(unswapped) : [...dialogues];
  if (format.name === "hf") {
    const names = await readdir(join(folder, "data"));
    const file = names.find((name) => name.startsWith(part === "train" ? part : "test"));
    const rows = file === undefined ? [] : await parquetRows(join(folder, "data", file));
    return rows.map((row) => byMessages(row["messages"]));
  }
  const json = join(folder, `${part}.json`);
  const path = (await readFile(json).catch(() => null)) === null ? `${json}l` : json;
  if (format.name === "unsloth") {
    const lines = (await readFile(path, "utf8")).split("\n").slice(0, -1);
    return lines.map((line) => byMessages((JSON.parse(line) as { conversations: unknown }).conversations));
  }
  if (format.name === "llama-factory") {
    const rows = JSON.parse(await readFile(path, "utf8")) as readonly { system: string }[];
    // Its tags swap the roles, the file does not; and an empty system message is none.
    const dialogues = await bySources(path);
    return dialogues.map(({ turns }, index) => {
      const system = rows[index]?.system === "" ? null : (rows[index]?.system ?? null);
      const isOpened = role === "user" && turns[0]?.role === "assistant" && turns[0].content === opener;
      return { system, turns: isOpened ? turns.slice(1) : turns };
    });
  }
  return undo(await bySources(path));
}
