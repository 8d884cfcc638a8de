// Owns the export that our own recipes read: ids and labels, nothing to tokenize any more.
// `train.jsonl` and `heldout.jsonl` hold lines of id, input_ids and labels; meta.json says under which model they are right.
import { exampleOf } from "./example-of.ts";
import type { Format } from "./format.ts";
import { readme } from "./readme.ts";

export const tokenized: Format = {
  name: "tokenized",
  trainer: "`npm run train`, or any trainer that takes `input_ids` and `labels`",
  userSide: "ids",
  needsModel: true,
  masksContext: true,
  keepsEmptyHeldout: true,
  tables: () => [
    {
      path: (part) => `${part}.jsonl`,
      kind: "jsonl",
      rows: (row) => {
        const { inputIds, labels } = exampleOf(row);
        return [{ id: row.conversation.id, input_ids: inputIds, labels }];
      },
    },
  ],
  texts: (record) => ({
    "README.md": readme(record, "ids and labels", [
      "`train.jsonl` and `heldout.jsonl`: one object a line with `id`, `input_ids` and `labels`. A label is the id itself where the",
      "token is trained, and -100 elsewhere. Shift by one as usual: the label at a place is what the model is to say there.",
      "",
      "```sh",
      "npm run train -- --data THIS_FOLDER …",
      "```",
    ]),
  }),
};
