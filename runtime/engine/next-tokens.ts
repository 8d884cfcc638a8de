// Owns how a step's logits become one token per sequence: which numbers to ask of the head, and the draw for each.
// It decides nothing about when a sequence ends.
import type { LogitsHead } from "./logits-head.ts";
import { uniform } from "./random.ts";
import { editLogits, needsFullRow, sampleRow, sampleTop } from "./sampler.ts";
import type { TopCandidates } from "./sampler.ts";
import type { Sequence } from "./sequence.ts";

const LEAST_CANDIDATES = 64;

/** One id for each row of logits; null for rows that nobody draws from. Changes nothing. */
export async function nextTokens(
  head: LogitsHead,
  rows: readonly (Sequence | null)[],
): Promise<readonly (number | null)[]> {
  const plain = rows.filter((sequence) => sequence !== null && !isEdited(sequence)) as readonly Sequence[];
  const isGreedy = plain.every(({ request }) => request.sampling.temperature === 0);
  const best = plain.length > 0 && isGreedy ? await head.argMax(rows.length) : null;
  const tops = plain.length > 0 && !isGreedy ? await head.top(rows.map(temperatureOf), candidateCount(plain)) : null;
  const ids: (number | null)[] = [];
  for (const [row, sequence] of rows.entries()) {
    if (sequence === null) ids.push(null);
    else if (isEdited(sequence)) ids.push(await drawEdited(head, row, sequence));
    else if (tops === null) ids.push(best![row]!);
    else ids.push(await drawPlain(head, row, sequence, tops[row]!));
  }
  return ids;
}

function isEdited(sequence: Sequence): boolean {
  const isBanned = sequence.generatedIds.length === 0 && sequence.request.bannedFirstIds.size > 0;
  return isBanned || needsFullRow(sequence.request.sampling);
}

async function drawPlain(head: LogitsHead, row: number, sequence: Sequence, top: TopCandidates): Promise<number> {
  const { sampling } = sequence.request;
  const draw = drawFor(sequence);
  // Candidates beyond its own share came along for a neighbour and may not change what a draw means.
  const own = { ...top, count: Math.min(top.count, candidateCount([sequence])) };
  return sampleTop(own, sampling, draw) ?? sampleRow(await head.readRow(row), sampling, draw, own);
}

async function drawEdited(head: LogitsHead, row: number, sequence: Sequence): Promise<number> {
  const { sampling, bannedFirstIds } = sequence.request;
  const logits = await head.readRow(row);
  editLogits(logits, sampling, sequence.promptIdSet, sequence.generatedCounts);
  if (sequence.generatedIds.length === 0) for (const id of bannedFirstIds) logits[id] = -Infinity;
  return sampleRow(logits, sampling, drawFor(sequence));
}

function drawFor({ request, generatedIds }: Sequence): number {
  return uniform(request.sampling.seed, request.choiceIndex, generatedIds.length);
}

// Greedy rows ride along at any temperature: their best candidate is the same.
function temperatureOf(sequence: Sequence | null): number {
  return sequence?.request.sampling.temperature || 1;
}

function candidateCount(sequences: readonly Sequence[]): number {
  return Math.max(LEAST_CANDIDATES, ...sequences.map(({ request }) => request.sampling.topK));
}
