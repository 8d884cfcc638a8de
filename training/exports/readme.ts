// Owns what every export's README says alike: what is in the folder, for which model, how it was counted.
// How a trainer is started is the format's own text.
import type { ExportRecord } from "./format.ts";

/** The README of an export: a heading, how to use it, and what it holds. */
export function readme(record: ExportRecord, title: string, usage: readonly string[]): string {
  const { role, counts, model } = record;
  const made =
    model === null
      ? "No model was named: lengths were not checked."
      : `Cut to ${record.maxTokens} tokens of \`${model.id}\` (tokenizer \`${short(model.tokenizerSha256)}\`, template \`${short(model.templateHash)}\`).`;
  const leftOut = Object.entries(record.leftOut).map(([reason, count]) => `- ${count} left out: ${reason}`);
  const notes = [
    ...(counts.truncated > 0 ? [`- ${counts.truncated} cut at the end, ${counts.cutTurns} trained turns lost`] : []),
    ...(counts.retokenizedTurns > 0
      ? [`- ${counts.retokenizedTurns} turns tokenized anew: no ids of this tokenizer`]
      : []),
    ...(counts.contextTurnsInLoss > 0
      ? [`- ${counts.contextTurnsInLoss} turns are in the loss that should only be context: this format cannot say so`]
      : []),
    ...leftOut,
  ];
  return [
    `# ${title}: the ${role}'s side`,
    "",
    `${counts.train} conversations to train on and ${counts.heldout} held out, written ${record.created}. ${made}`,
    "",
    "## How to start",
    "",
    ...usage,
    "",
    "## What is here",
    "",
    "- `meta.json`: model, template, hashes, counts, and how the conversations were prepared",
    "- `_meta.train.jsonl`, `_meta.heldout.jsonl`: where each conversation came from, in the order of the data",
    ...notes,
    "",
  ].join("\n");
}

const short = (hash: string) => hash.slice(0, 12);
