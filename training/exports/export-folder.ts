// Owns an export from conversations to a finished folder: examples made, rows written as they come, everything counted, and the
// folder given its name only when it is whole. It knows no format and no source.
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Conversation, Utterance } from "../conversation.ts";
import { makeExample } from "../examples/example.ts";
import {
  CannotSay,
  type ExportCounts,
  type ExportRecord,
  type ExportSetup,
  type Format,
  type JsonRow,
} from "./format.ts";
import { type Part, parts } from "./format.ts";
import { openTable, type TableWriter } from "./table-writer.ts";
import { trimToTrained } from "./trim.ts";

export interface ExportOptions extends ExportSetup {
  readonly format: Format;
  readonly out: string;
  readonly isReplacing: boolean;
  readonly learnsEnd: boolean;
  readonly created: Date;
  /** Asked for when all conversations have passed. */
  readonly funnel: () => unknown;
  readonly measures: () => Promise<unknown>;
  /** Hears of every conversation that was exported, and of the others why not. */
  readonly onExported: (conversation: Conversation) => void;
  readonly onLeftOut: (conversation: Conversation, reason: string) => void;
}

/** A conversation, and the part of the export that it belongs to. */
export interface Incoming extends Conversation {
  readonly isHeldOut: boolean;
}

/** The folder cannot be written; the message is a sentence. */
export class ExportError extends Error {
  override readonly name = "ExportError";
}

/**
 * Writes the folder and resolves to its record. When the signal aborts, or anything is thrown, nothing is left behind and what
 * was at `out` before is still there.
 */
export async function exportFolder(
  conversations: AsyncIterable<Incoming> | Iterable<Incoming>,
  options: ExportOptions,
  signal: AbortSignal,
): Promise<ExportRecord> {
  const { format, out, isReplacing } = options;
  if (format.needsModel && options.model === null) throw new ExportError(`The format ${format.name} needs a model.`);
  const partial = `${out}.${process.pid}.partial`;
  await mkdir(dirname(out), { recursive: true });
  await rm(partial, { recursive: true, force: true });
  // Checked before the work, so that a name that is taken is not told after hours of it.
  if (!isReplacing && (await isThere(out))) throw new ExportError(`${out} is already there; --force replaces it.`);
  await mkdir(partial);
  const writers: TableWriter[] = [];
  try {
    const record = await fill(conversations, options, partial, writers, signal);
    const texts = { ...format.texts(record, options), "meta.json": `${JSON.stringify(record, null, 2)}\n` };
    for (const [name, text] of Object.entries(texts)) await writeFile(join(partial, name), text);
    const old = `${partial}.old`;
    if (isReplacing && (await isThere(out))) await rename(out, old);
    await rename(partial, out);
    await rm(old, { recursive: true, force: true });
    return record;
  } catch (cause) {
    for (const writer of writers) writer.abandon();
    await rm(partial, { recursive: true, force: true });
    throw cause;
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

async function fill(
  conversations: AsyncIterable<Incoming> | Iterable<Incoming>,
  options: ExportOptions,
  folder: string,
  writers: TableWriter[],
  signal: AbortSignal,
): Promise<ExportRecord> {
  const { format, role, onExported, onLeftOut } = options;
  const tables = format.tables(options);
  const open = async (part: Part) => {
    const opened = [];
    for (const table of tables) {
      const writer = await openTable(table, join(folder, table.path(part)));
      writers.push(writer);
      opened.push({ table, writer });
    }
    // What a trainer must not stumble over stands in a file of its own, in the order of the conversations.
    const side = await openTable({ kind: "jsonl", path: () => "", rows: () => [] }, join(folder, metaName(part)));
    writers.push(side);
    return { opened, side };
  };
  const files = { train: await open("train"), heldout: await open("heldout") };
  const counts = noCounts();
  const leftOut: Record<string, number> = {};
  const leave = (conversation: Conversation, reason: string) => {
    leftOut[reason] = (leftOut[reason] ?? 0) + 1;
    onLeftOut(conversation, reason);
  };

  for await (const incoming of conversations) {
    signal.throwIfAborted();
    const row = await toRow(incoming, options, signal);
    if (typeof row === "string") {
      leave(incoming, row);
      continue;
    }
    const part: Part = incoming.isHeldOut ? "heldout" : "train";
    const { opened, side } = files[part];
    let made: readonly (readonly JsonRow[])[];
    try {
      made = opened.map(({ table }) => table.rows(row));
    } catch (cause) {
      if (!(cause instanceof CannotSay)) throw cause;
      leave(incoming, cause.message);
      continue;
    }
    for (const [index, { writer }] of opened.entries()) await writer.write(made[index] ?? []);
    await side.write([metaOf(row.conversation, made[0]?.length ?? 0)]);
    counts.conversations += 1;
    counts[part] += 1;
    counts.rows += made[0]?.length ?? 0;
    counts.utterances += row.conversation.utterances.length;
    counts.tokens += row.example?.inputIds.length ?? 0;
    counts.trainedTokens += row.example?.trainedTokens ?? 0;
    counts.truncated += (row.example?.cutTurns ?? 0) > 0 ? 1 : 0;
    counts.cutTurns += row.example?.cutTurns ?? 0;
    counts.retokenizedTurns += row.example?.retokenizedTurns ?? 0;
    if (!format.masksContext) {
      const isContext = row.conversation.utterances.filter((said) => said.role === role && said.isContext === true);
      counts.contextTurnsInLoss += isContext.length;
    }
    onExported(row.conversation);
  }
  for (const part of parts) {
    for (const { writer } of files[part].opened) await writer.close();
    await files[part].side.close();
  }
  if (counts.heldout === 0 && format.keepsEmptyHeldout !== true) {
    for (const table of tables) await rm(join(folder, table.path("heldout")));
    await rm(join(folder, metaName("heldout")));
  }
  return recordOf(options, counts, leftOut, await options.measures());
}

const metaName = (part: Part) => `_meta.${part}.jsonl`;

/** Why a conversation that could be trained on is left out all the same; null where it is not. */
function faultOf(utterances: readonly Utterance[], { format, model }: ExportOptions): string | null {
  if (utterances.some(({ content }) => content.trim() === "")) return "an empty turn";
  if (model === null || format.userSide === "ids" || format.isArchive === true) return null;
  const { controlTokens } = model.tokenizer;
  const isTyped = utterances.some(({ content }) => controlTokens.some((token) => content.includes(token)));
  return isTyped ? "the text of a control token, which the trainer would take for one" : null;
}

/** What the formats make rows of, or why there is nothing to make them of. */
async function toRow(conversation: Incoming, options: ExportOptions, signal: AbortSignal) {
  const { model, role, maxTokens, learnsEnd } = options;
  if (model === null) {
    const trimmed = trimToTrained(conversation, role);
    if (trimmed === null) return "no turn to train on";
    return faultOf(trimmed.utterances, options) ?? { conversation: trimmed, example: null };
  }
  const limits = { role, maxTokens: maxTokens ?? model.contextWindow, isLearningEnd: learnsEnd };
  const result = await makeExample(conversation, model, limits, signal);
  if (result.kind === "refused") return `refused: ${result.reason.replaceAll(/\d+/g, "…")}`;
  if (result.kind === "untrained") {
    return result.reason === "too_long" ? "first trained turn ends beyond the most tokens" : "no turn to train on";
  }
  const utterances = conversation.utterances.slice(0, result.example.keptUtterances);
  return faultOf(utterances, options) ?? { conversation: { ...conversation, utterances }, example: result.example };
}

function metaOf({ id, group, origin, isComplete, provenance }: Conversation, rows: number): JsonRow {
  return { id, group, origin, isComplete, rows, provenance };
}

function recordOf(
  { format, role, model, maxTokens, learnsEnd, created, funnel }: ExportOptions,
  counts: ExportCounts,
  leftOut: Readonly<Record<string, number>>,
  measures: unknown,
): ExportRecord {
  return {
    format: format.name,
    role,
    created: created.toISOString(),
    model:
      model === null
        ? null
        : {
            id: model.id,
            hash: model.modelHash,
            tokenizerSha256: model.tokenizerSha256,
            templateHash: model.templateHash,
            template: model.templateSource,
            vocabSize: model.tokenizer.vocabSize,
            padId: model.padId,
            stopIds: model.stopIds,
            endOfConversationId: model.endOfConversationId,
          },
    maxTokens: model === null ? null : (maxTokens ?? model.contextWindow),
    learnsEnd,
    counts,
    leftOut,
    funnel: funnel(),
    measures,
  };
}

function noCounts(): ExportCounts {
  const counts = { conversations: 0, train: 0, heldout: 0, rows: 0, utterances: 0, tokens: 0, trainedTokens: 0 };
  return { ...counts, truncated: 0, cutTurns: 0, retokenizedTurns: 0, contextTurnsInLoss: 0 };
}
