// Owns the card of a data set folder: front matter that the Hub reads, then models, hashes, the funnel, Table 5 and the counts.
import { stringify } from "yaml";
import type { ExportRecord } from "./format.ts";

/** README.md of a data set folder. */
export function card(record: ExportRecord): string {
  const { model, counts, role, leftOut, measures, funnel } = record;
  const configs = ["data", "conversations", ...(model === null ? [] : ["tokenized"])];
  const front = {
    pretty_name: "RealChat dialogues",
    license: "other",
    language: ["en"],
    task_categories: ["text-generation"],
    size_categories: [sizeOf(counts.conversations)],
    tags: ["conversational", "user-simulator", "self-play"],
    configs: configs.map((name) => ({
      config_name: name === "data" ? "default" : name,
      data_files: [
        { split: "train", path: `${name}/train-*.parquet` },
        ...(counts.heldout > 0 ? [{ split: "test", path: `${name}/test-*.parquet` }] : []),
      ],
    })),
  };
  return [
    "---",
    stringify(front).trimEnd(),
    "---",
    "",
    "# RealChat dialogues",
    "",
    `${counts.train} conversations to train the ${role}'s side on, ${counts.heldout} held out; ${counts.utterances} turns. Written ${record.created}.`,
    "Set the licence above to that of the sources: it is not known here.",
    "",
    "## How to start",
    "",
    "```python",
    "from datasets import load_dataset",
    "",
    'data = load_dataset("THIS_FOLDER")',
    "```",
    "",
    "`messages` have the roles in which they were said; `trained` is 1 for every message that is trained.",
    ...(model === null
      ? []
      : [
          "The configuration `tokenized` has `input_ids` and `labels` for the model below.",
          "",
          "## Model",
          "",
          ...modelLines(model),
        ]),
    "",
    "## Counts",
    "",
    ...table(
      ["what", "count"],
      [
        ...Object.entries(counts),
        ...Object.entries(leftOut).map(([reason, count]) => [`left out: ${reason}`, count] as const),
      ],
    ),
    ...(measures === null ? [] : ["", "## Measures", "", ...jsonBlock(measures)]),
    ...(funnel === null ? [] : ["", "## Funnel", "", ...jsonBlock(funnel)]),
    "",
    "`meta.json` has all of this in full; `_meta.*.jsonl` says where each conversation came from.",
    "",
  ].join("\n");
}

function modelLines({
  id,
  hash,
  tokenizerSha256,
  templateHash,
}: NonNullable<ExportRecord["model"]>): readonly string[] {
  const rows = [
    ["model", id],
    ["model hash", hash],
    ["tokenizer (SHA-256)", tokenizerSha256],
    ["chat template (SHA-256)", templateHash],
  ] as const;
  return table(
    ["", ""],
    rows.map(([name, value]) => [name, `\`${value}\``] as const),
  );
}

function table(
  head: readonly [string, string],
  rows: readonly (readonly [string, string | number])[],
): readonly string[] {
  return [`| ${head.join(" | ")} |`, "| --- | --- |", ...rows.map((cells) => `| ${cells.join(" | ")} |`)];
}

const jsonBlock = (value: unknown) => ["```json", JSON.stringify(value, null, 2), "```"];

function sizeOf(count: number): string {
  const steps = [
    [1_000, "n<1K"],
    [10_000, "1K<n<10K"],
    [100_000, "10K<n<100K"],
    [1_000_000, "100K<n<1M"],
  ] as const;
  return steps.find(([below]) => count < below)?.[1] ?? "1M<n<10M";
}
