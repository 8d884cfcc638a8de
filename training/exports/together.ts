// Owns the two forms that Together's fine-tuning takes: messages, and Parquet with ids and labels.
import { exampleOf } from "./example-of.ts";
import type { Format } from "./format.ts";
import { readme } from "./readme.ts";
import { swapNote, withSwapTemplate } from "./swap-note.ts";
import { asAssistant, toMessages } from "./turns.ts";

const start = (extension: string) => [
  "```sh",
  `together files upload train.${extension}`,
  "together fine-tuning create --training-file FILE_ID --model MODEL",
  "```",
];

export const together: Format = {
  name: "together",
  trainer: "Together fine-tuning, conversations",
  userSide: "swap",
  needsModel: false,
  masksContext: false,
  tables: ({ role }) => [
    {
      path: (part) => `${part}.jsonl`,
      kind: "jsonl",
      rows: (row) => [{ messages: toMessages(asAssistant(row, role)) }],
    },
  ],
  texts: (record) =>
    withSwapTemplate(record, {
      "README.md": readme(record, "Together fine-tuning", [
        ...start("jsonl"),
        "",
        "With `--train-on-inputs false` only the assistant's messages are trained.",
        ...swapNote(record),
      ]),
    }),
};

export const togetherTokenized: Format = {
  name: "together-tokenized",
  trainer: "Together fine-tuning, tokenized",
  userSide: "ids",
  needsModel: true,
  masksContext: true,
  tables: () => [
    {
      path: (part) => `${part}.parquet`,
      kind: "parquet",
      columns: (["input_ids", "attention_mask", "labels"] as const).map((name) => ({ name, type: "int32_list" })),
      rows: (row) => {
        const { inputIds, labels } = exampleOf(row);
        return [{ input_ids: inputIds, attention_mask: inputIds.map(() => 1), labels }];
      },
    },
  ],
  texts: (record) => ({
    "README.md": readme(record, "Together fine-tuning, tokenized", [
      ...start("parquet"),
      "",
      "The base model must have the tokenizer that `meta.json` names: ids mean nothing under another.",
    ]),
  }),
};
