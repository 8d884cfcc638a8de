// Recomputes the committed funnel of 400 real conversations where they are at hand; they are not part of the repository.
// They are counted in Llama 2's tokens and under the role names that the paper's program counts, so that no model of ours decides.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { Funnel } from "../../../training/clean/funnel.ts";
import { PREPARE_FLAGS, toPrepareOptions } from "../../../training/prepare/flags.ts";
import { prepare } from "../../../training/prepare/prepare.ts";
import { writeModelFolder } from "../../support/model-folder.ts";
import { never } from "../sources/source-files.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const shared = join(root, "..", "shared");
const sample = join(shared, "data", "preprocess", "sharegpt-sample.jsonl.gz");
const tokenizer = join(shared, "tokenizers", "llama2", "tokenizer.json");
const golden = join(root, "test", "fixtures", "conversations", "sharegpt-sample-funnel.json");

const template =
  "{% for m in messages %}{{ bos_token + '### ' + ('Human' if m['role'] == 'user' else 'Assistant') + ': ' + m['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ bos_token + '### Human: ' }}{% endif %}";

const runs = {
  "paper's rules and split": ["--split", "paper"],
  "statistical language, near duplicates, fitting split": ["--language", "eng", "--keep-rule", "near-duplicates"],
} as const;

test.skipIf(!existsSync(sample) || !existsSync(tokenizer))("the sample's funnel is the committed one", async () => {
  const model = await llamaFolder();
  const funnels: Record<string, unknown> = {};
  for (const [name, args] of Object.entries(runs)) {
    const flags = ["--model", model, "--max-tokens", "2048", ...args];
    const { values } = parseArgs({ args: flags, options: PREPARE_FLAGS });
    const funnel = new Funnel();
    for await (const _ of prepare(
      [sample],
      toPrepareOptions(values, () => {}),
      funnel,
      never,
    ));
    funnels[name] = funnel.toJson();
  }
  await expect(`${JSON.stringify(funnels, null, 2)}\n`).toMatchFileSnapshot(golden);
});

async function llamaFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "realchat-llama-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const config = { bos_token: "<s>", eos_token: "</s>", chat_template: template };
  const network = { layers: 1, heads: 2, kvHeads: 1, headDim: 16, hiddenSize: 32, vocabSize: 32_000 };
  return writeModelFolder(folder, {
    files: { "tokenizer.json": await readFile(tokenizer, "utf8"), "tokenizer_config.json": JSON.stringify(config) },
    manifest: {
      network,
      contextWindow: 2048,
      tokens: { stopIds: [2], endOfConversationId: null, bosId: 1, padId: null },
    },
  });
}
