// Owns what Unsloth reads: messages of exactly two fields, and the two header strings that train_on_responses_only goes by.
import type { Format } from "./format.ts";
import { chatmlShape, shapeOf } from "./jinja.ts";
import { readme } from "./readme.ts";
import { inOwnRoles, toMessages, withoutGreeting } from "./turns.ts";

export const unsloth: Format = {
  name: "unsloth",
  trainer: "Unsloth",
  userSide: "mask",
  needsModel: false,
  masksContext: false,
  tables: ({ role }) => [
    {
      path: (part) => `${part}.jsonl`,
      kind: "jsonl",
      rows: (row) => [{ conversations: toMessages(withoutGreeting(inOwnRoles(row, role), role)) }],
    },
  ],
  texts: (record, { model, role }) => {
    const own = model === null ? null : shapeOf(model, role);
    const shape = own ?? chatmlShape(role);
    const [response, instruction] = [shape[role].before, shape[role === "user" ? "assistant" : "user"].before];
    return {
      "README.md": readme(record, "Unsloth", [
        "```python",
        "from datasets import load_dataset",
        "from trl import SFTConfig, SFTTrainer",
        "from unsloth.chat_templates import train_on_responses_only",
        "",
        'data = load_dataset("json", data_files="train.jsonl", split="train")',
        "data = data.map(lambda row: {",
        '    "text": tokenizer.apply_chat_template(row["conversations"], tokenize=False)})',
        `config = SFTConfig(output_dir="out", dataset_text_field="text", max_length=${record.maxTokens ?? 2048})`,
        "trainer = SFTTrainer(model=model, processing_class=tokenizer, train_dataset=data, args=config)",
        "trainer = train_on_responses_only(",
        `    trainer, instruction_part=${JSON.stringify(instruction)}, response_part=${JSON.stringify(response)})`,
        "trainer.train()",
        "```",
        "",
        "`response_part` is the header of what is trained, `instruction_part` that of what is not" +
          `${own === null ? ", here those of ChatML; put in those of your model's template" : ""}.`,
      ]),
    };
  },
};
