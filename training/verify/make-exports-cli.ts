// Makes what the Python scripts here compare: small model folders with real tokenizers, and exports of dialogues.jsonl in every format.
// Usage: node training/verify/make-exports-cli.ts FOLDER TOKENIZERS
// TOKENIZERS holds gpt2/tokenizer.json and phi-3-mini/tokenizer.json as their models have them.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { Funnel } from "../clean/funnel.ts";
import { openModelText } from "../examples/model-text.ts";
import { exportFolder } from "../exports/export-folder.ts";
import type { Format } from "../exports/format.ts";
import { formats } from "../exports/formats.ts";
import { prepare } from "../prepare/prepare.ts";

const root = join(import.meta.dirname, "..", "..");
const signal = new AbortController().signal;
const roles: readonly ModelRole[] = ["user", "assistant"];
const systems = [null, "A chat between a curious human and an artificial intelligence assistant."] as const;

interface Family {
  readonly name: string;
  readonly tokenizer: string;
  /** Added to the tokenizer, as base models get their turn markers. */
  readonly added: readonly string[];
  readonly special: Readonly<Record<string, string>>;
  readonly template: (open: ModelRole) => string;
}

const eachTurn = (turn: string, open: string) =>
  `{% for m in messages %}${turn}{% endfor %}{% if add_generation_prompt %}${open}{% endif %}`;

const familiesWith = (tokenizers: string): readonly Family[] => [
  {
    name: "seed",
    tokenizer: join(root, "models/usergpt/tokenizer.json"),
    added: [],
    special: { bos_token: "<|begin|>", eos_token: "<|end|>", pad_token: "<|pad|>" },
    template: (open) =>
      `{{ bos_token }}${eachTurn("{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}", `{{ '<|${open}|>' }}`)}`,
  },
  {
    name: "chatml",
    tokenizer: join(tokenizers, "gpt2/tokenizer.json"),
    added: ["<|im_start|>", "<|im_end|>"],
    special: { eos_token: "<|im_end|>", pad_token: "<|endoftext|>" },
    template: (open) =>
      eachTurn(
        String.raw`{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}`,
        String.raw`{{ '<|im_start|>${open}\n' }}`,
      ),
  },
  {
    name: "phi3",
    tokenizer: join(tokenizers, "phi-3-mini/tokenizer.json"),
    added: [],
    special: { bos_token: "<s>", eos_token: "<|end|>", pad_token: "<|endoftext|>" },
    template: (open) =>
      eachTurn(
        String.raw`{{ '<|' + m['role'] + '|>' + '\n' + m['content'] + '<|end|>' + '\n' }}`,
        String.raw`{{ '<|${open}|>' + '\n' }}`,
      ),
  },
];

async function writeModel(family: Family, role: ModelRole, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tokenizer = JSON.parse(await readFile(family.tokenizer, "utf8")) as {
    model: { vocab: Record<string, number> };
    added_tokens: { id: number; content: string }[];
  };
  const known = tokenizer.added_tokens.map(({ id }) => id);
  let next = Math.max(...Object.values(tokenizer.model.vocab), ...known) + 1;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  for (const content of family.added) tokenizer.added_tokens.push({ id: next++, content, ...flags });
  const idOf = (token = "") =>
    tokenizer.added_tokens.find(({ content }) => content === token)?.id ?? tokenizer.model.vocab[token] ?? null;
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...family.special,
    chat_template: family.template(role),
    clean_up_tokenization_spaces: false,
  };
  const contents = {
    "model.onnx": "no network",
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": JSON.stringify(config),
  };
  for (const [name, content] of Object.entries(contents)) await writeFile(join(folder, name), content);
  const described = Object.entries(contents).map(([name, content]) => {
    const sha256 = createHash("sha256").update(content).digest("hex");
    return [name, { bytes: Buffer.byteLength(content), sha256 }] as const;
  });
  const manifest = {
    schema: 1,
    id: `${family.name}-${role}`,
    role,
    format: "realchat-decoder-1",
    architecture: "llama",
    precision: "int8",
    kvPrecision: "float32",
    contextWindow: 4096,
    createdAt: "2026-01-01T00:00:00Z",
    network: { layers: 1, heads: 2, kvHeads: 1, headDim: 16, hiddenSize: 32, vocabSize: next },
    tokens: {
      stopIds: [idOf(family.special["eos_token"])],
      endOfConversationId: null,
      bosId: idOf(family.special["bos_token"]),
      padId: idOf(family.special["pad_token"]),
    },
    licence: "unknown",
    files: Object.fromEntries(described),
  };
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest, null, 2));
}

interface Wish {
  readonly source: string;
  readonly format: Format;
  readonly role: ModelRole;
  readonly model: string;
  readonly system: string | null;
  readonly out: string;
}

async function write({ source, format, role, model, system, out }: Wish): Promise<void> {
  const options = {
    format: null,
    store: { url: null, data: null },
    rules: new Set<never>(),
    selfplayRules: new Set<never>(),
    language: "eng",
    split: null,
    holdout: 0,
    seed: 125,
    limit: null,
    onBroken() {},
  };
  async function* told() {
    for await (const one of prepare([source], options, new Funnel(), signal)) {
      // What an export says as the assistant's system message is that of the trained role.
      yield { ...one, system: { ...one.system, [role]: system ?? one.system.assistant } };
    }
  }
  await exportFolder(
    told(),
    {
      format,
      role,
      model: await openModelText(model),
      maxTokens: null,
      out,
      isReplacing: true,
      learnsEnd: false,
      created: new Date(0),
      funnel: () => null,
      measures: () => Promise.resolve(null),
      onExported() {},
      onLeftOut: ({ id }, reason) => console.error(`${out}: ${id}: ${reason}`),
    },
    signal,
  );
}

async function main(folder: string, tokenizers: string): Promise<void> {
  const source = join(import.meta.dirname, "dialogues.jsonl");
  const tokenized = formats.find(({ name }) => name === "tokenized") as Format;
  for (const family of familiesWith(tokenizers)) {
    const models = { user: join(folder, family.name, "user"), assistant: join(folder, family.name, "assistant") };
    for (const role of roles) await writeModel(family, role, models[role]);
    for (const role of roles) {
      for (const [index, system] of systems.entries()) {
        const place = join(folder, family.name, `${role}-exports-${index === 0 ? "plain" : "system"}`);
        for (const format of formats) {
          await write({ source, format, role, model: models[role], system, out: join(place, format.name) });
        }
        // What the words of an export are as an example, where they are not those of the source: roles swapped, or a first
        // turn left out.
        const swapped = { source: join(place, "openai", "train.jsonl"), role: "assistant" } as const;
        const masked = { source: join(place, "trl", "train.jsonl"), role } as const;
        const expected = { format: tokenized, system: null };
        await write({ ...expected, ...swapped, model: models.assistant, out: join(place, "swapped-tokenized") });
        await write({ ...expected, ...masked, model: models[role], out: join(place, "masked-tokenized") });
      }
    }
  }
}

const [folder, tokenizers] = process.argv.slice(2);
if (folder === undefined || tokenizers === undefined) {
  console.error("Usage: node training/verify/make-exports-cli.ts FOLDER TOKENIZERS");
  process.exitCode = 2;
} else {
  await main(folder, tokenizers);
}
