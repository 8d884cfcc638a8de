// Owns preference pairs: where self-play drew several samples of a turn, the one that stands against each that was passed over.
import type { ExportRow, ExportSetup, Format, JsonRow } from "./format.ts";
import { readme } from "./readme.ts";
import { swapNote, withSwapTemplate } from "./swap-note.ts";
import { asAssistant, toMessages } from "./turns.ts";

const answer = (content: string) => [{ role: "assistant", content }];

/** A row a pair. A dialogue without pairs gives none. */
function pairs(row: ExportRow, { role }: ExportSetup): readonly JsonRow[] {
  const dialogue = asAssistant(row, role);
  return dialogue.turns.flatMap((turn, index) => {
    if (!turn.isTrained || turn.utterance === null) return [];
    const { rejected = [] } = row.conversation.utterances[turn.utterance] ?? {};
    const prompt = toMessages({ system: dialogue.system, turns: dialogue.turns.slice(0, index) });
    // Two samples that say the same are no preference.
    const others = rejected.filter(({ content }) => content.trim() !== turn.content.trim());
    return others.map(({ content }) => ({ prompt, chosen: answer(turn.content), rejected: answer(content) }));
  });
}

export const dpo: Format = {
  name: "dpo",
  trainer: "TRL DPOTrainer, and trainers that take preference pairs",
  userSide: "swap",
  needsModel: false,
  masksContext: true,
  tables: (setup) => [{ path: (part) => `${part}.jsonl`, kind: "jsonl", rows: (row) => pairs(row, setup) }],
  texts: (record) =>
    withSwapTemplate(record, {
      "README.md": readme(record, "Preference pairs", [
        `${record.counts.rows} pairs. A pair is a turn that self-play chose among several samples, against one that it passed over.`,
        "",
        "```python",
        "from datasets import load_dataset",
        "from trl import DPOConfig, DPOTrainer",
        "",
        'data = load_dataset("json", data_files="train.jsonl", split="train")',
        'DPOTrainer("PATH_OR_NAME", args=DPOConfig(output_dir="out"), train_dataset=data).train()',
        "```",
        ...swapNote(record),
      ]),
    }),
};
