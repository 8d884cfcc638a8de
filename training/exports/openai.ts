// Owns the JSON Lines of OpenAI's fine-tuning, which other services take as well: messages, the assistant's are trained.
import type { ExportRow, ExportSetup, Format, JsonRow } from "./format.ts";
import { readme } from "./readme.ts";
import { asAssistant, toMessages } from "./turns.ts";
import { swapNote, withSwapTemplate } from "./swap-note.ts";

/** Messages; an assistant's turn that is context only has weight 0. */
function weighted(row: ExportRow, { role }: ExportSetup): JsonRow {
  const dialogue = asAssistant(row, role);
  const offset = dialogue.system === null ? 0 : 1;
  const messages = toMessages(dialogue).map((message, index) => {
    const isContext = message.role === "assistant" && dialogue.turns[index - offset]?.isTrained === false;
    return isContext ? Object.assign({ weight: 0 }, message) : message;
  });
  return { messages };
}

export const openai: Format = {
  name: "openai",
  trainer: "OpenAI fine-tuning, and services that take its files",
  userSide: "swap",
  needsModel: false,
  masksContext: true,
  tables: (setup) => [{ path: (part) => `${part}.jsonl`, kind: "jsonl", rows: (row) => [weighted(row, setup)] }],
  texts: (record) =>
    withSwapTemplate(record, {
      "README.md": readme(record, "OpenAI fine-tuning", [
        "```sh",
        "openai api files.create -f train.jsonl -p fine-tune",
        "openai api fine_tuning.jobs.create -m MODEL -F TRAIN_FILE_ID -v HELDOUT_FILE_ID",
        "```",
        "",
        "Assistant messages of weight 0 are context; all others are trained.",
        ...swapNote(record),
      ]),
    }),
};
