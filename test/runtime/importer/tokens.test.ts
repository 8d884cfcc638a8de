// Ids with a meaning, gathered from the files that checkpoints scatter them over.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readSpecialTokens } from "../../../runtime/importer/tokens.ts";
import { copyOf, editJson, scratchFolder } from "../../support/checkpoints.ts";

const scratch = await scratchFolder();
let copies = 0;

interface Files {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly generation?: Readonly<Record<string, unknown>> | null;
  readonly tokenizer?: Readonly<Record<string, unknown>>;
  readonly tokenizerConfig?: Readonly<Record<string, unknown>>;
  readonly endOfConversation?: string;
}

async function read(files: Files) {
  const folder = await copyOf("smollm2", scratch, `copy-${copies++}`);
  const generation = join(folder, "generation_config.json");
  if (files.generation === null) await rm(generation);
  else await writeFile(generation, JSON.stringify(files.generation ?? { eos_token_id: 2 }));
  await editJson(join(folder, "tokenizer.json"), files.tokenizer ?? {});
  await editJson(join(folder, "tokenizer_config.json"), files.tokenizerConfig ?? {});
  const config = { bos_token_id: 1, eos_token_id: 2, pad_token_id: 0, ...files.config };
  return readSpecialTokens(folder, config, 64, files.endOfConversation ?? null);
}

const bye = { id: 9, content: "<|endconversation|>" };
const marks = [
  { id: 1, content: "<s>" },
  { id: 2, content: "</s>" },
];

describe("readSpecialTokens", () => {
  test("reads the first, the last and the filling token", async () => {
    expect(await read({})).toEqual({ stopIds: [2], endOfConversationId: null, bosId: 1, padId: 0 });
  });

  test("stops at every id that generation_config.json names, and else at those of config.json", async () => {
    expect((await read({ generation: { eos_token_id: [7, 2] } })).stopIds).toEqual([2, 7]);
    expect((await read({ generation: null, config: { eos_token_id: [5, 3] } })).stopIds).toEqual([3, 5]);
    expect((await read({ generation: {} })).stopIds).toEqual([2]);
  });

  test("a token that ends conversations is found by its usual name and is a stop token", async () => {
    const found = await read({ tokenizer: { added_tokens: [...marks, bye] } });
    expect(found).toMatchObject({ stopIds: [2, 9], endOfConversationId: 9 });
  });

  test("a token that ends conversations can be named, and must exist then", async () => {
    const added = [...marks, { id: 8, content: "<bye>" }];
    const named = await read({ tokenizer: { added_tokens: added }, endOfConversation: "<bye>" });
    expect(named).toMatchObject({ stopIds: [2, 8], endOfConversationId: 8 });
    await expect(read({ endOfConversation: "<bye>" })).rejects.toThrow(
      'tokenizer.json: field added_tokens has no "<bye>" to end conversations with',
    );
  });

  test("the tokenizer's own first token wins over config.json, also when it says that there is none", async () => {
    expect((await read({ config: { bos_token_id: 5 } })).bosId).toBe(1);
    expect((await read({ config: { bos_token_id: 5 }, tokenizerConfig: { bos_token: null } })).bosId).toBeNull();
    expect((await read({ config: { bos_token_id: 5 }, tokenizerConfig: { bos_token: undefined } })).bosId).toBe(5);
    expect((await read({ tokenizerConfig: { bos_token: { content: "</s>" } } })).bosId).toBe(2);
  });

  test("a model that could never stop is refused", async () => {
    await expect(read({ generation: null, config: { eos_token_id: null } })).rejects.toThrow(
      "config.json: field eos_token_id is missing: the model could never stop",
    );
  });

  test.each<[Files, string]>([
    [{ config: { eos_token_id: 64 }, generation: null }, "config.json: field eos_token_id holds 64, which is no id"],
    [{ generation: { eos_token_id: [2, -1] } }, "generation_config.json: field eos_token_id holds -1, which is no id"],
    [{ generation: { eos_token_id: "2" } }, 'generation_config.json: field eos_token_id holds "2", which is no id'],
    [
      { tokenizer: { added_tokens: [{ id: 64, content: "<x>" }] } },
      'token "<x>" has id 64, outside config.json\'s vocab_size 64',
    ],
    [{ tokenizer: { model: { vocab: { far: 70 } } } }, 'token "far" has id 70, outside'],
    [{ tokenizer: { added_tokens: {} } }, "tokenizer.json: field added_tokens must be a list"],
    [
      { tokenizer: { added_tokens: [{ id: 1 }] } },
      "tokenizer.json: field added_tokens holds an entry without content or id",
    ],
  ])("refuses %j", async (files, message) => {
    await expect(read(files)).rejects.toThrow(message);
  });
});
