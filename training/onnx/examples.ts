// Owns the examples: reads a pre-tokenized export line by line, checks every one, cuts it at the context's end.
// It knows no model but the size of its vocabulary.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { basename } from "node:path";
import { isObject } from "../../runtime/importer/json.ts";
import { BadInput } from "./bad-input.ts";

/** The label of a token that is not in the loss. */
export const IGNORED = -100;

export interface Example {
  readonly id: string;
  readonly ids: Int32Array;
  /** The id at the same place, or IGNORED. */
  readonly labels: Int32Array;
  /** Tokens in the loss; the first id is predicted by nothing. */
  readonly trainedTokens: number;
}

export interface Examples {
  readonly items: readonly Example[];
  /** Examples that were longer than the context and lost their end. */
  readonly cut: number;
  /** Examples without a token in the loss. */
  readonly dropped: number;
  readonly sha256: string;
}

export interface ReadOptions {
  /** Every token is in the loss, whatever the labels say. */
  readonly isTrainingAll: boolean;
  readonly contextTokens: number;
  readonly vocabSize: number;
}

/** Reads JSON Lines of `id`, `input_ids` and `labels`. Throws BadInput naming file and line. */
export async function readExamples(path: string, options: ReadOptions): Promise<Examples> {
  const digest = createHash("sha256");
  const items: Example[] = [];
  let cut = 0;
  let dropped = 0;
  let line = 0;
  const stream = createReadStream(path);
  stream.on("data", (piece) => digest.update(piece));
  for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    line += 1;
    if (text.trim() === "") continue;
    const { id, ids, labels } = parseExample(text, `${basename(path)}, line ${line}`, options.vocabSize);
    if (ids.length > options.contextTokens) cut += 1;
    const kept = ids.slice(0, options.contextTokens);
    const keptLabels = options.isTrainingAll ? kept : labels.slice(0, options.contextTokens);
    const trainedTokens = trainedTokensOf(keptLabels);
    if (trainedTokens === 0) dropped += 1;
    else items.push({ id, ids: kept, labels: keptLabels, trainedTokens });
  }
  return { items, cut, dropped, sha256: digest.digest("hex") };
}

/** Labels in the loss; the first place is predicted by nothing. */
export function trainedTokensOf(labels: Int32Array): number {
  return labels.subarray(1).reduce((sum, label) => sum + (label === IGNORED ? 0 : 1), 0);
}

export function totalTokens(examples: readonly Example[]): number {
  return examples.reduce((sum, { ids }) => sum + ids.length, 0);
}

export function totalTrainedTokens(examples: readonly Example[]): number {
  return examples.reduce((sum, { trainedTokens }) => sum + trainedTokens, 0);
}

function parseExample(text: string, where: string, vocabSize: number) {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    row = null;
  }
  const lists = isObject(row) ? [row["input_ids"], row["labels"]] : [];
  if (!isObject(row) || !lists.every((list) => Array.isArray(list))) {
    throw new BadInput(`${where}: must be an object with input_ids and labels`);
  }
  const [ids = [], labels = []] = lists as readonly unknown[][];
  if (ids.length !== labels.length) {
    throw new BadInput(`${where}: has ${ids.length} input_ids and ${labels.length} labels`);
  }
  if (ids.some((id) => typeof id !== "number" || !Number.isSafeInteger(id) || id < 0 || id >= vocabSize)) {
    throw new BadInput(`${where}: input_ids holds an id outside the model's vocabulary of ${vocabSize}`);
  }
  if (labels.some((label, at) => label !== IGNORED && label !== ids[at])) {
    throw new BadInput(`${where}: a label is neither ${IGNORED} nor the id at its place`);
  }
  const id = typeof row["id"] === "string" ? row["id"] : "";
  return { id, ids: Int32Array.from(ids as number[]), labels: Int32Array.from(labels as number[]) };
}
