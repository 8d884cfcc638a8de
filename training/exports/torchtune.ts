// Owns what torchtune's chat_dataset reads: ShareGPT dialogues, human first, and the lines of YAML that name them.
import { stringify } from "yaml";
import type { Format } from "./format.ts";
import { readme } from "./readme.ts";
import { swapNote, withSwapTemplate } from "./swap-note.ts";
import { asAssistant, toFromValue } from "./turns.ts";

export const torchtune: Format = {
  name: "torchtune",
  trainer: "torchtune (no longer developed)",
  userSide: "swap",
  needsModel: false,
  masksContext: false,
  tables: ({ role }) => [
    {
      path: (part) => `${part}.json`,
      kind: "json",
      rows: (row) => [{ conversations: toFromValue(asAssistant(row, role), true) }],
    },
  ],
  texts: (record) =>
    withSwapTemplate(record, {
      "torchtune.yml": stringify({
        dataset: {
          _component_: "torchtune.datasets.chat_dataset",
          source: "json",
          data_files: "train.json",
          split: "train",
          conversation_column: "conversations",
          conversation_style: "sharegpt",
          train_on_input: false,
          packed: false,
        },
      }),
      "README.md": readme(record, "torchtune", [
        "Put the lines of `torchtune.yml` into a recipe's configuration, with the path of this folder, and start it:",
        "",
        "```sh",
        "tune run full_finetune_single_device --config CONFIG.yml",
        "```",
        ...swapNote(record),
      ]),
    }),
};
