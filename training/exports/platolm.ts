// Owns the form of the paper's own scripts: ShareGPT dialogues with the session they are of and their number of rounds.
import type { Format } from "./format.ts";
import { readme } from "./readme.ts";
import { inOwnRoles, toFromValue } from "./turns.ts";

export const platolm: Format = {
  name: "platolm",
  trainer: "the paper's own scripts",
  userSide: "mask",
  needsModel: false,
  isArchive: true,
  masksContext: false,
  tables: ({ role }) => [
    {
      path: (part) => `${part}.jsonl`,
      kind: "jsonl",
      rows: (row) => [
        {
          id: row.conversation.id,
          session_id: row.conversation.group,
          num_of_rounds: row.conversation.utterances.filter((said) => said.role === "user").length,
          conversations: toFromValue(inOwnRoles(row, role), false),
        },
      ],
    },
  ],
  texts: (record) => ({
    "README.md": readme(record, "PlatoLM", [
      "`train.jsonl` is what the scripts of the paper's repository read: the trainer's `--data_path`. The user's side is trained by",
      "its UserGPT script, the assistant's by the other; both write their own system prompts.",
    ]),
  }),
};
