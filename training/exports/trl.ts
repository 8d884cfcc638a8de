// Owns the three forms that TRL's SFTTrainer takes: messages with a template that marks what is trained, prompt and completion,
// and ids with labels.
import { exampleOf } from "./example-of.ts";
import { CannotSay, type ExportRecord, type ExportRow, type ExportSetup, type Format, type JsonRow } from "./format.ts";
import { chatmlShape, shapeOf, type TemplateShape, trainingTemplate } from "./jinja.ts";
import { readme } from "./readme.ts";
import { inOwnRoles, toMessages, withoutGreeting } from "./turns.ts";

/** The model's own template where its shape can be marked, else ChatML. */
function markedShape({ model, role }: ExportSetup): { readonly shape: TemplateShape; readonly isOwn: boolean } {
  const own = model === null ? null : shapeOf(model, role);
  return own === null ? { shape: chatmlShape(role), isOwn: false } : { shape: own, isOwn: true };
}

function python(record: ExportRecord, loss: string, eos: string): readonly string[] {
  const heldOut = record.counts.heldout > 0;
  return [
    "```python",
    "from datasets import load_dataset",
    "from trl import SFTConfig, SFTTrainer",
    "",
    `data = load_dataset("${loss === "" ? "parquet" : "json"}", data_files={"train": "train.${loss === "" ? "parquet" : "jsonl"}"${heldOut ? `, "test": "heldout.${loss === "" ? "parquet" : "jsonl"}"` : ""}})`,
    `config = SFTConfig(output_dir="out", max_length=${record.maxTokens ?? 2048}${loss}${eos})`,
    `SFTTrainer("PATH_OR_NAME", args=config, train_dataset=data["train"]${heldOut ? ', eval_dataset=data["test"]' : ""}).train()`,
    "```",
    "",
    "`max_length` is said because TRL's own is 1024.",
  ];
}

export const trl: Format = {
  name: "trl",
  trainer: "TRL SFTTrainer, messages with a `{% generation %}` template",
  userSide: "mask",
  needsModel: false,
  masksContext: false,
  tables: ({ role }) => [
    {
      path: (part) => `${part}.jsonl`,
      kind: "jsonl",
      rows: (row) => [{ messages: toMessages(withoutGreeting(inOwnRoles(row, role), role)) }],
    },
  ],
  texts: (record, setup) => {
    const { shape, isOwn } = markedShape(setup);
    const { end } = shape[setup.role];
    const loss = `, assistant_only_loss=True, chat_template_path="chat_template.jinja"`;
    return {
      "chat_template.jinja": trainingTemplate(shape, setup.role),
      "README.md": readme(record, "TRL SFTTrainer", [
        ...python(record, loss, end === "" ? "" : `, eos_token=${JSON.stringify(end)}`),
        "",
        isOwn
          ? "`chat_template.jinja` writes what the model's own template writes, with marks around what is trained."
          : "`chat_template.jinja` is ChatML with marks around what is trained. Use it to serve the model as well.",
        `Its generation prompt opens the ${record.role}'s turn.`,
        ...(record.role === "user"
          ? ["TRL may warn that the assistant's stop token is not trained: that is as it should be."]
          : []),
      ]),
    };
  },
};

/** A row a trained turn: all before it, as serving would have it, and its words with their end. */
function completions({ conversation, example }: ExportRow, { model, role }: ExportSetup): readonly JsonRow[] {
  if (model === null || example === null) throw new Error("Prompts were asked for without a model.");
  const system = conversation.system[role];
  const told = system === null ? [] : [{ role: "system", content: system } as const];
  return example.spans.flatMap(({ utterance, isTrained }) => {
    if (!isTrained || utterance === null) return [];
    const past = conversation.utterances.slice(0, utterance);
    const prompt = model.template.renderText([...told, ...past], true);
    const whole = model.template.renderText([...told, ...past, conversation.utterances[utterance]!], false);
    if (model.role !== role || !whole.startsWith(prompt))
      throw new CannotSay("the template's prompt is of another role");
    return [{ prompt, completion: withoutTail(whole.slice(prompt.length), model) }];
  });
}

/** Up to the token that ends the turn: what a template writes behind it belongs to what comes next. */
function withoutTail(text: string, { stopIds, tokenizer }: NonNullable<ExportSetup["model"]>): string {
  const ends = stopIds.flatMap((id) => tokenizer.tokenOf(id) ?? []);
  const cuts = ends.map((end) => text.lastIndexOf(end) + end.length).filter((at) => text.slice(at).trim() === "");
  return text.slice(0, Math.min(...cuts.filter((at) => at > 0), text.length));
}

export const trlCompletion: Format = {
  name: "trl-completion",
  trainer: "TRL SFTTrainer, prompt and completion",
  userSide: "mask",
  needsModel: true,
  masksContext: true,
  tables: (setup) => [{ path: (part) => `${part}.jsonl`, kind: "jsonl", rows: (row) => completions(row, setup) }],
  texts: (record, { model }) => {
    const end = model?.tokenizer.tokenOf(model.stopIds[0] ?? -1);
    return {
      "README.md": readme(record, "TRL SFTTrainer, prompt and completion", [
        ...python(record, ", completion_only_loss=True", end === undefined ? "" : `, eos_token=${JSON.stringify(end)}`),
        "",
        "One row is one trained turn. The prompt is the text that serving renders, its first token included: a tokenizer that puts",
        "one before every text by itself would put it twice.",
      ]),
    };
  },
};

export const trlTokenized: Format = {
  name: "trl-tokenized",
  trainer: "TRL SFTTrainer, ids and labels",
  userSide: "ids",
  needsModel: true,
  masksContext: true,
  tables: () => [
    {
      path: (part) => `${part}.parquet`,
      kind: "parquet",
      columns: (["input_ids", "labels", "completion_mask", "assistant_masks"] as const).map((name) => ({
        name,
        type: "int32_list",
      })),
      rows: (row) => {
        const { inputIds, labels } = exampleOf(row);
        // Older releases read masks, newer ones labels.
        const mask = labels.map((label) => (label === -100 ? 0 : 1));
        return [{ input_ids: inputIds, labels, completion_mask: mask, assistant_masks: mask }];
      },
    },
  ],
  texts: (record) => ({
    "README.md": readme(record, "TRL SFTTrainer, ids and labels", [
      ...python(record, "", ""),
      "",
      "Labels are taken as they are. The masks say the same for releases that know no labels; do not set `skip_prepare_dataset`.",
    ]),
  }),
};
