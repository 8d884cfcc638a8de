// Owns what FastChat's trainer reads: a JSON array of ShareGPT dialogues, human first, strictly alternating.
import type { Format } from "./format.ts";
import { readme } from "./readme.ts";
import { swapNote, withSwapTemplate } from "./swap-note.ts";
import { asAssistant, toFromValue } from "./turns.ts";

export const fastchat: Format = {
  name: "fastchat",
  trainer: "FastChat (Vicuna)",
  userSide: "swap",
  needsModel: false,
  masksContext: false,
  tables: ({ role }) => [
    {
      path: (part) => `${part}.json`,
      kind: "json",
      rows: (row) => [{ id: row.conversation.id, conversations: toFromValue(asAssistant(row, role), false) }],
    },
  ],
  texts: (record) =>
    withSwapTemplate(record, {
      "README.md": readme(record, "FastChat", [
        "```sh",
        "torchrun --nproc_per_node=4 fastchat/train/train_mem.py --model_name_or_path PATH_OR_NAME --lazy_preprocess True \\",
        `  --data_path train.json${record.counts.heldout > 0 ? " --eval_data_path heldout.json" : ""} --model_max_length ${record.maxTokens ?? 2048} --output_dir out --bf16 True`,
        "```",
        "",
        "The trainer writes its own template (Vicuna v1.1) and its own system prompt; a system message of the data is not in it.",
        ...swapNote(record),
      ]),
    }),
};
