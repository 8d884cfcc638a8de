// Owns what LLaMA-Factory reads: a JSON array, the entry of dataset_info.json, and a YAML. Its tags decide whose turns are
// trained: for the user's side the two tags are exchanged, and the turns keep their names.
import { stringify } from "yaml";
import type { ExportRecord, ExportRow, ExportSetup, Format, JsonRow } from "./format.ts";
import { readme } from "./readme.ts";
import { swapNote, withSwapTemplate } from "./swap-note.ts";
import { asAssistant, toFromValue } from "./turns.ts";

const datasetName = (role: string, part: string) => `realchat_${role}_${part}`;

function turns(row: ExportRow, { role }: ExportSetup): JsonRow {
  const dialogue = asAssistant(row, role);
  const swap = { human: "gpt", gpt: "human" } as Readonly<Record<string, string>>;
  const conversations = toFromValue(dialogue, false).map(({ from, value }) => ({
    from: role === "assistant" ? from : (swap[from] ?? from),
    value,
  }));
  return { conversations, system: dialogue.system ?? "" };
}

function datasetInfo({ role, counts }: ExportRecord): string {
  const [user, assistant] = role === "assistant" ? ["human", "gpt"] : ["gpt", "human"];
  const entry = (part: string) => ({
    file_name: `${part}.json`,
    formatting: "sharegpt",
    columns: { messages: "conversations", system: "system" },
    tags: { role_tag: "from", content_tag: "value", user_tag: user, assistant_tag: assistant },
  });
  const parts = ["train", ...(counts.heldout > 0 ? ["heldout"] : [])];
  const info = Object.fromEntries(parts.map((part) => [datasetName(role, part), entry(part)]));
  return `${JSON.stringify(info, null, 2)}\n`;
}

function config({ role, maxTokens, counts }: ExportRecord): string {
  return stringify({
    model_name_or_path: "PATH_OR_NAME",
    stage: "sft",
    do_train: true,
    finetuning_type: "full",
    dataset_dir: ".",
    dataset: datasetName(role, "train"),
    ...(counts.heldout > 0 ? { eval_dataset: datasetName(role, "heldout"), eval_strategy: "epoch" } : {}),
    template: "TEMPLATE",
    cutoff_len: maxTokens ?? 2048,
    // The defaults, which would otherwise be easy to get wrong: loss on every turn of the trained side, and on nothing else.
    mask_history: false,
    train_on_prompt: false,
    output_dir: "./out",
    per_device_train_batch_size: 4,
    gradient_accumulation_steps: 8,
    num_train_epochs: 3,
    learning_rate: 2e-5,
    lr_scheduler_type: "cosine",
    warmup_ratio: 0.03,
    bf16: true,
  });
}

export const llamaFactory: Format = {
  name: "llama-factory",
  trainer: "LLaMA-Factory",
  userSide: "swap",
  needsModel: false,
  masksContext: false,
  tables: (setup) => [{ path: (part) => `${part}.json`, kind: "json", rows: (row) => [turns(row, setup)] }],
  texts: (record) =>
    withSwapTemplate(record, {
      "dataset_info.json": datasetInfo(record),
      "llama-factory.yml": config(record),
      "README.md": readme(record, "LLaMA-Factory", [
        "Name the base model and its template in `llama-factory.yml`, then, in this folder:",
        "",
        "```sh",
        "llamafactory-cli train llama-factory.yml",
        "```",
        ...(record.role === "user"
          ? ["", "The turns keep their names; `user_tag: gpt` and `assistant_tag: human` make the trainer swap them."]
          : []),
        "",
        "Name a template: the one LLaMA-Factory makes of the tokenizer's own, where none is named, repeats a beginning token in every round",
        "where the chat template writes that token itself.",
        ...swapNote(record),
      ]),
    }),
};
