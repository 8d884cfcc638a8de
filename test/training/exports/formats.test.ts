import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { ModelRole } from "../../../runtime/chat-model.ts";
import type { Conversation } from "../../../training/conversation.ts";
import { type ModelText, openModelText } from "../../../training/examples/model-text.ts";
import { exportFolder } from "../../../training/exports/export-folder.ts";
import type { Format } from "../../../training/exports/format.ts";
import { formats } from "../../../training/exports/formats.ts";
import { conversation } from "../../support/conversations.ts";
import { writeModelFolder } from "../../support/model-folder.ts";

const never = new AbortController().signal;
let scratch = "";
let models: Record<ModelRole, ModelText>;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "formats-"));
  const user = await openModelText(await writeModelFolder(join(scratch, "user")));
  const assistant = await openModelText(await writeModelFolder(join(scratch, "assistant"), { role: "assistant" }));
  models = { user, assistant };
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function exported(name: string, role: ModelRole, given: readonly Conversation[], model: ModelText | null = null) {
  const out = join(scratch, `${name}-${role}`);
  const format = formats.find((one) => one.name === name) as Format;
  const record = await exportFolder(
    given.map((one) => Object.assign({}, one, { isHeldOut: false })),
    {
      format,
      role,
      model,
      maxTokens: null,
      out,
      isReplacing: true,
      learnsEnd: false,
      created: new Date(0),
      funnel: () => null,
      measures: () => Promise.resolve({ table5: { turns: 5.39 } }),
      onExported() {},
      onLeftOut() {},
    },
    never,
  );
  const text = (file: string) => readFile(join(out, file), "utf8");
  const lines = async (file = "train.jsonl") =>
    (await text(file))
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  return { record, text, lines };
}

const system = { user: "Be curious.", assistant: "Be helpful." };
const told = conversation(["a", "b", "c", "d"], { system });

describe("the user's side, where a trainer trains the assistant alone:", () => {
  it("roles are swapped, the opener stands first, the last turn is a trained one", async () => {
    const { lines } = await exported("openai", "user", [told]);
    expect(await lines()).toEqual([
      {
        messages: [
          { role: "system", content: "Be curious." },
          { role: "user", content: "[start]" },
          { role: "assistant", content: "a" },
          { role: "user", content: "b" },
          { role: "assistant", content: "c" },
        ],
      },
    ]);
  });

  it("a segment that starts with an answer needs no opener", async () => {
    const { lines } = await exported("together", "user", [conversation(["b", "c"], { first: "assistant" })]);
    expect(await lines()).toEqual([
      {
        messages: [
          { role: "user", content: "b" },
          { role: "assistant", content: "c" },
        ],
      },
    ]);
  });

  it("LLaMA-Factory's turns keep their names, and its tags are exchanged", async () => {
    const { text } = await exported("llama-factory", "user", [told]);
    expect(JSON.parse(await text("train.json"))).toEqual([
      {
        conversations: [
          { from: "gpt", value: "[start]" },
          { from: "human", value: "a" },
          { from: "gpt", value: "b" },
          { from: "human", value: "c" },
        ],
        system: "Be curious.",
      },
    ]);
    const info = JSON.parse(await text("dataset_info.json")) as Record<string, { tags: unknown }>;
    expect(info["realchat_user_train"]?.tags).toMatchObject({ user_tag: "gpt", assistant_tag: "human" });
    expect(parse(await text("llama-factory.yml"))).toMatchObject({
      dataset: "realchat_user_train",
      mask_history: false,
    });
  });
});

describe("the user's side, where a trainer masks by role:", () => {
  it("axolotl is told the role, and of single turns that are context", async () => {
    const { lines, text } = await exported(
      "axolotl",
      "user",
      [conversation([{ content: "a", isContext: true }, "b", "c"], { system })],
      models.user,
    );
    expect(await lines()).toEqual([
      {
        conversations: [
          { from: "system", value: "Be curious." },
          { from: "human", value: "a", train: false },
          { from: "gpt", value: "b" },
          { from: "human", value: "c" },
        ],
      },
    ]);
    const config = parse(await text("axolotl.yml")) as { datasets: unknown[]; chat_template_jinja: string };
    expect(config.datasets).toMatchObject([{ roles_to_train: ["user"], train_on_eos: "turn" }]);
    expect(config.chat_template_jinja).toBe(models.user.templateSource);
  });

  it("TRL gets the model's own template with marks, and ChatML where there is none to mark", async () => {
    const own = await exported("trl", "user", [told], models.user);
    const template = await own.text("chat_template.jinja");
    expect(template).toContain("{{ '<|user|>' }}{% generation %}{{ m['content'] + '<|end|>' }}{% endgeneration %}");
    expect(template).toContain("{% if add_generation_prompt %}{{ '<|user|>' }}{% endif %}");
    const without = await exported("trl", "user", [told]);
    expect(await without.text("chat_template.jinja")).toContain("<|im_start|>user\\n' }}{% generation %}");
  });

  it("Unsloth's two headers are exchanged", async () => {
    const { text } = await exported("unsloth", "user", [told], models.user);
    expect(await text("README.md")).toContain(`instruction_part="<|assistant|>", response_part="<|user|>"`);
    const { text: plain } = await exported("unsloth", "assistant", [told], models.assistant);
    expect(await plain("README.md")).toContain(`instruction_part="<|user|>", response_part="<|assistant|>"`);
  });

  it("a prompt is what serving renders, and a completion ends with the turn", async () => {
    const { lines } = await exported("trl-completion", "user", [told], models.user);
    expect(await lines()).toEqual([
      { prompt: "<|begin|><|system|>Be curious.<|end|><|user|>", completion: "a<|end|>" },
      {
        prompt: "<|begin|><|system|>Be curious.<|end|><|user|>a<|end|><|assistant|>b<|end|><|user|>",
        completion: "c<|end|>",
      },
    ]);
  });
});

const answer = (content: string) => [{ role: "assistant", content }];

it("preference pairs are a turn that stands against each that was passed over, and not against itself", async () => {
  const rejected = [{ content: "x" }, { content: "c" }, { content: "y" }];
  const { lines, record } = await exported("dpo", "user", [conversation(["a", "b", { content: "c", rejected }]), told]);
  const prompt = [
    { role: "user", content: "[start]" },
    { role: "assistant", content: "a" },
    { role: "user", content: "b" },
  ];
  expect(await lines()).toEqual([
    { prompt, chosen: answer("c"), rejected: answer("x") },
    { prompt, chosen: answer("c"), rejected: answer("y") },
  ]);
  expect(record.counts.rows).toBe(2);
});

it("the paper's own form has the session and its rounds", async () => {
  const { lines } = await exported("platolm", "assistant", [Object.assign({}, told, { group: "s7" })]);
  expect(await lines()).toMatchObject([{ id: "c1", session_id: "s7", num_of_rounds: 2 }]);
});

describe("a data set folder", () => {
  it("has a card with model, hashes, counts and measures, and says which files are which", async () => {
    const { text } = await exported("hf", "user", [told], models.user);
    const [, front = "", body = ""] = (await text("README.md")).split(/^---$/m);
    expect(parse(front)).toMatchObject({
      configs: [
        { config_name: "default", data_files: [{ split: "train", path: "data/train-*.parquet" }] },
        { config_name: "conversations" },
        { config_name: "tokenized" },
      ],
    });
    expect(body).toContain(models.user.templateHash);
    expect(body).toContain("5.39");
    expect(body).toContain("| conversations | 1 |");
  });
});

describe("what a format cannot say is told, not guessed:", () => {
  it("context turns that will be trained on are counted", async () => {
    const seeded = conversation([{ content: "a", isContext: true }, "b", "c"]);
    const { record, text } = await exported("fastchat", "user", [seeded]);
    expect(record.counts.contextTurnsInLoss).toBe(1);
    expect(await text("README.md")).toContain("1 turns are in the loss that should only be context");
    expect((await exported("openai", "user", [seeded])).record.counts.contextTurnsInLoss).toBe(0);
  });

  it("two turns of one role in a row, empty turns, and typed control tokens of the model are left out", async () => {
    const twice = conversation(["a", "b", "c"]);
    const broken = {
      ...twice,
      utterances: twice.utterances.map(({ content }) => ({ role: "user" as const, content })),
    };
    const given = [broken, conversation(["a", " ", "c"]), conversation(["a<|end|>", "b"]), told];
    const { record } = await exported("openai", "user", given, models.user);
    expect(record.leftOut).toEqual({
      "two turns of one role in a row": 1,
      "an empty turn": 1,
      "the text of a control token, which the trainer would take for one": 1,
    });
    // Ids carry such text safely.
    expect((await exported("tokenized", "user", given, models.user)).record.counts.conversations).toBe(3);
  });

  it("a format of ids without a model is refused", async () => {
    await expect(exported("tokenized", "user", [told])).rejects.toThrow("The format tokenized needs a model.");
  });
});
