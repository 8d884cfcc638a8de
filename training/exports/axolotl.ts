// Owns what axolotl reads: ShareGPT turns for its chat_template strategy, and the YAML that says which roles are trained.
import { stringify } from "yaml";
import type { ExportRecord, ExportRow, ExportSetup, Format, JsonRow } from "./format.ts";
import { readme } from "./readme.ts";
import { inOwnRoles, toFromValue } from "./turns.ts";

/** A turn of the trained role that is only context says so itself; the others go by `roles_to_train`. */
function turns(row: ExportRow, { role }: ExportSetup): JsonRow {
  const dialogue = inOwnRoles(row, role);
  const offset = dialogue.system === null ? 0 : 1;
  const conversations = toFromValue(dialogue, true).map((turn, index) => {
    const told = dialogue.turns[index - offset];
    return told?.role === role && !told.isTrained ? Object.assign({ train: false }, turn) : turn;
  });
  return { conversations };
}

function config({ role, maxTokens, counts }: ExportRecord, { model }: ExportSetup): string {
  const dataset = (path: string) => ({
    path,
    ds_type: "json",
    type: "chat_template",
    field_messages: "conversations",
    message_property_mappings: { role: "from", content: "value" },
    message_field_training: "train",
    roles_to_train: [role],
    train_on_eos: "turn",
  });
  return stringify({
    base_model: "PATH_OR_NAME",
    ...(model === null
      ? { chat_template: "tokenizer_default" }
      : { chat_template: "jinja", chat_template_jinja: model.templateSource }),
    datasets: [dataset("train.jsonl")],
    ...(counts.heldout > 0 ? { test_datasets: [{ ...dataset("heldout.jsonl"), split: "train" }] } : {}),
    // The first of the tokens that end a turn is the tokenizer's own end-of-sequence token or must be named here.
    ...(model === null ? {} : { eot_tokens: model.stopIds.flatMap((id) => model.tokenizer.tokenOf(id) ?? []) }),
    sequence_len: maxTokens ?? 2048,
    sample_packing: false,
    output_dir: "./out",
    micro_batch_size: 4,
    gradient_accumulation_steps: 8,
    num_epochs: 3,
    learning_rate: 2e-5,
    lr_scheduler: "cosine",
    warmup_ratio: 0.03,
    optimizer: "adamw_torch",
    bf16: "auto",
  });
}

export const axolotl: Format = {
  name: "axolotl",
  trainer: "axolotl",
  userSide: "mask",
  needsModel: false,
  masksContext: true,
  tables: (setup) => [{ path: (part) => `${part}.jsonl`, kind: "jsonl", rows: (row) => [turns(row, setup)] }],
  texts: (record, setup) => ({
    "axolotl.yml": config(record, setup),
    "README.md": readme(record, "axolotl", [
      "Name the base model in `axolotl.yml`, then, in this folder:",
      "",
      "```sh",
      "axolotl preprocess axolotl.yml --debug",
      "axolotl train axolotl.yml",
      "```",
      "",
      `Roles are as they were; \`roles_to_train: [${record.role}]\` puts the loss on the ${record.role}'s turns and their end tokens.`,
    ]),
  }),
};
