// Writes files for the tests of sources and reads them back: what was read, in a form that can be compared.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Conversation } from "../../../training/conversation.ts";
import type { Format } from "../../../training/sources/formats.ts";
import { readSource } from "../../../training/sources/read-source.ts";
import type { SourceRow } from "../../../training/sources/source-row.ts";

export const never = new AbortController().signal;
export const noStore = { data: null, url: null };

/** A folder of these files that goes when the test ends. */
export async function folderOf(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "realchat-sources-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

export async function rowsOf(source: string, format: Format | null = null): Promise<readonly SourceRow[]> {
  return Array.fromAsync(readSource(source, { format, store: noStore }, never));
}

/** Reads one file of this content. */
export async function readText(content: string | Buffer, format: Format | null = null): Promise<readonly SourceRow[]> {
  return rowsOf(join(await folderOf({ "data.jsonl": content }), "data.jsonl"), format);
}

/** The only conversation of a row. */
export async function readOne(row: unknown, format: Format | null = null): Promise<Conversation> {
  const [first, ...others] = await readText(JSON.stringify(row), format);
  if (first?.kind !== "conversation" || others.length > 0) throw new Error(JSON.stringify([first, ...others]));
  return first.conversation;
}

/** "user: hi", for utterances and for rows that are none. */
export function told(row: SourceRow): string {
  if (row.kind === "conversation") return textOf(row.conversation);
  return `${row.origin.row}: ${row.kind === "broken" ? row.reason : row.rule}`;
}

export const textOf = ({ utterances }: Conversation): string =>
  utterances.map(({ role, content }) => `${role}: ${content}`).join(" | ");
