// Owns a data set folder as the Hugging Face Hub shows it: Parquet with real lists, and a card.
import { card } from "./card.ts";
import { exampleOf } from "./example-of.ts";
import type { Format, Part, Table } from "./format.ts";
import { inOwnRoles, toFromValue, toMessages } from "./turns.ts";

const shard = (folder: string) => (part: Part) =>
  `${folder}/${part === "train" ? "train" : "test"}-00000-of-00001.parquet`;

export const huggingFace: Format = {
  name: "hf",
  trainer: "`datasets` and the Hugging Face Hub",
  userSide: "mask",
  needsModel: false,
  isArchive: true,
  masksContext: true,
  tables: ({ role, model }) => {
    const messages: Table = {
      path: shard("data"),
      kind: "parquet",
      columns: [
        { name: "id", type: "text" },
        { name: "messages", type: "turns", fields: ["role", "content"] },
        { name: "trained", type: "int32_list" },
        { name: "group", type: "text" },
        { name: "source", type: "text" },
        { name: "row", type: "int32" },
        { name: "provenance", type: "text" },
      ],
      rows: (row) => {
        const { id, group, origin, provenance } = row.conversation;
        const dialogue = inOwnRoles(row, role);
        const trained = dialogue.turns.map(({ isTrained }) => (isTrained ? 1 : 0));
        return [
          {
            id,
            messages: toMessages(dialogue),
            trained: dialogue.system === null ? trained : [0, ...trained],
            group,
            source: origin.file,
            row: origin.row,
            provenance: JSON.stringify(provenance),
          },
        ];
      },
    };
    const conversations: Table = {
      path: shard("conversations"),
      kind: "parquet",
      columns: [
        { name: "id", type: "text" },
        { name: "conversations", type: "turns", fields: ["from", "value"] },
      ],
      rows: (row) => [{ id: row.conversation.id, conversations: toFromValue(inOwnRoles(row, role), true) }],
    };
    const ids: Table = {
      path: shard("tokenized"),
      kind: "parquet",
      columns: [
        { name: "id", type: "text" },
        { name: "input_ids", type: "int32_list" },
        { name: "labels", type: "int32_list" },
      ],
      rows: (row) => {
        const { inputIds, labels } = exampleOf(row);
        return [{ id: row.conversation.id, input_ids: inputIds, labels }];
      },
    };
    return [messages, conversations, ...(model === null ? [] : [ids])];
  },
  texts: (record) => ({ "README.md": card(record) }),
};
