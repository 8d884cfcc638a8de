// Owns the way from the text of a file to a seed set: rows, their numbers, and what becomes of broken ones.
// It knows JSON Lines, a JSON array, and plain lines; what a row means is formats.ts's. It opens no file.
import type { SeedItem } from "../simulators/simulator.ts";
import { rowReaders } from "./formats.ts";
import { type BrokenRow, type DropReason, RowError, type SeedFormat, type SeedSet } from "./seed-set.ts";

/** Of many broken rows, this many are told one by one. */
const toldBrokenRows = 100;

interface NumberedRow {
  readonly row: number;
  /** Parses; throws RowError. */
  readonly read: () => unknown;
}

/** Reads every row. Broken ones are collected, not thrown: whoever asked decides whether the others will do. */
export function readSeedSet(text: string, format: SeedFormat): SeedSet {
  const read = rowReaders[format];
  const items: SeedItem[] = [];
  const broken: BrokenRow[] = [];
  const dropped: Partial<Record<DropReason, number>> = {};
  let rows = 0;
  let brokenCount = 0;
  for (const { row, read: parse } of rowsOf(text, format)) {
    rows += 1;
    try {
      const result = read(parse());
      if (result.type === "item") items.push({ ...result.item, row, id: result.item.id ?? String(row) });
      else dropped[result.reason] = (dropped[result.reason] ?? 0) + 1;
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      brokenCount += 1;
      if (broken.length < toldBrokenRows) broken.push({ row, reason: error.message });
    }
  }
  return { items, rows, broken, brokenCount, dropped };
}

function rowsOf(raw: string, format: SeedFormat): Iterable<NumberedRow> {
  const text = raw.startsWith("\uFEFF") ? raw.slice(1) : raw;
  const array = text.trimStart().startsWith("[") ? parseArray(text) : null;
  if (array !== null) return array.map((value, index) => ({ row: index + 1, read: () => value }));
  const rows: NumberedRow[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const content = line.trim();
    if (content === "") continue;
    // Plain prompts may be lines of text; one that begins like JSON is meant to be JSON.
    const isText = format === "plain" && !/^[{"]/.test(content);
    rows.push({ row: index + 1, read: () => (isText ? wellFormed(content) : parseLine(content)) });
  }
  return rows;
}

/** The rows of a file that is one JSON array; null where it is not, such as lines of text that begin with a bracket. */
function parseArray(text: string): readonly unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? (value as unknown[]) : null;
  } catch {
    return null;
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new RowError("is not JSON.");
  }
}

function wellFormed(line: string): string {
  if (line.isWellFormed()) return line;
  throw new RowError("holds an unpaired surrogate.");
}
