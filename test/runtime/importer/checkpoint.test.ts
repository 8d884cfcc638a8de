// Checkpoints that lack, misplace or add a tensor are refused, and the message says which and where.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { Checkpoint } from "../../../runtime/importer/checkpoint.ts";
import { parseConfig } from "../../../runtime/importer/config.ts";
import { decoderTensors } from "../../../runtime/importer/decoder-tensors.ts";
import { readJsonObject } from "../../../runtime/importer/json.ts";
import { copyOf, editJson, float32Tensor, safetensorsBytes, scratchFolder } from "../../support/checkpoints.ts";
import type { Recorded } from "../../support/checkpoints.ts";

const scratch = await scratchFolder();
let copies = 0;

const copy = (name: Recorded) => copyOf(name, scratch, `copy-${copies++}`);

/** What the importer would say about the folder's tensors; empty when nothing. */
async function complaint(folder: string): Promise<string> {
  try {
    const checkpoint = await Checkpoint.open(folder);
    try {
      decoderTensors(checkpoint, parseConfig(await readJsonObject(join(folder, "config.json"))));
    } finally {
      await checkpoint.close();
    }
    return "";
  } catch (error) {
    return error instanceof EngineError && error.code === "bad_model"
      ? error.message
      : `not bad_model: ${String(error)}`;
  }
}

describe("Checkpoint", () => {
  test("finds tensors in one file and in shards", async () => {
    expect(await complaint(await copy("llama3"))).toBe("");
    expect(await complaint(await copy("qwen2"))).toBe("");
  });

  test("names the tensor that is missing", async () => {
    const folder = await copy("llama3");
    await editJson(join(folder, "config.json"), { num_hidden_layers: 3 });
    expect(await complaint(folder)).toBe("model.safetensors: tensor model.layers.2.self_attn.o_proj.weight is missing");
  });

  test("names a missing output head", async () => {
    const folder = await copy("smollm2");
    await editJson(join(folder, "config.json"), { tie_word_embeddings: false });
    expect(await complaint(folder)).toBe("model.safetensors: tensor lm_head.weight is missing");
  });

  test("names the tensor whose shape is not the configured one, with both shapes", async () => {
    const folder = await copy("llama3");
    await editJson(join(folder, "config.json"), { intermediate_size: 64 });
    expect(await complaint(folder)).toBe(
      "model.safetensors: tensor model.layers.0.mlp.gate_proj.weight has shape [48, 32], but config.json asks for [64, 32]",
    );
  });

  test("names a tensor that the architecture has no place for", async () => {
    const folder = await copy("llama-bias");
    await editJson(join(folder, "config.json"), { mlp_bias: false });
    expect(await complaint(folder)).toMatch(
      /tensor model\.layers\.0\.mlp\.\w+_proj\.bias has no place in the architecture/,
    );
  });

  test("leaves out a stored head that is tied, and rotation frequencies that old programs stored", async () => {
    const folder = await copy("llama3");
    await editJson(join(folder, "config.json"), { tie_word_embeddings: true });
    expect(await complaint(folder)).toBe("");
  });

  test("names a tensor of a type that cannot be read", async () => {
    const folder = await copy("smollm2");
    const tensors = { "model.embed_tokens.weight": { dtype: "I8", shape: [64, 32], bytes: new Uint8Array(64 * 32) } };
    await writeFile(join(folder, "model.safetensors"), safetensorsBytes(tensors));
    expect(await complaint(folder)).toBe(
      "model.safetensors: tensor model.embed_tokens.weight has type I8; supported are F32, F16 and BF16",
    );
  });

  test("says which files it would read when there are none", async () => {
    const folder = await copy("smollm2");
    await rm(join(folder, "model.safetensors"));
    expect(await complaint(folder)).toBe(
      `model.safetensors: (nor model.safetensors.index.json; only safetensors are read) missing from ${folder}`,
    );
  });

  test("names a missing shard", async () => {
    const folder = await copy("qwen2");
    await rm(join(folder, "model-00002-of-00003.safetensors"));
    expect(await complaint(folder)).toBe(
      `model-00002-of-00003.safetensors: named by model.safetensors.index.json but missing from ${folder}`,
    );
  });

  test("names a tensor that its shard does not hold", async () => {
    const folder = await copy("qwen2");
    await writeFile(
      join(folder, "model-00003-of-00003.safetensors"),
      safetensorsBytes({ "model.norm.weight": float32Tensor([32], new Float32Array(32)) }),
    );
    expect(await complaint(folder)).toMatch(
      /^model-00003-of-00003\.safetensors: tensor model\.layers\.1\.\S+, which model\.safetensors\.index\.json places here, is missing$/,
    );
  });

  test("refuses a tensor that two shards hold", async () => {
    const folder = await copy("qwen2");
    const twice = safetensorsBytes({ "model.embed_tokens.weight": float32Tensor([1], new Float32Array(1)) });
    await writeFile(join(folder, "model-00003-of-00003.safetensors"), twice);
    expect(await complaint(folder)).toBe(
      "model-00003-of-00003.safetensors: tensor model.embed_tokens.weight is also in model-00001-of-00003.safetensors",
    );
  });

  test.each([
    ["../secret.safetensors", 'tensor t is mapped to "../secret.safetensors", not to a file name'],
    [5, "tensor t is mapped to 5, not to a file name"],
  ])("an index cannot point outside its folder (%s)", async (target, message) => {
    const folder = await copy("qwen2");
    await editJson(join(folder, "model.safetensors.index.json"), { weight_map: { t: target } });
    expect(await complaint(folder)).toBe(`model.safetensors.index.json: ${message}`);
  });

  test.each([[{}], [[]], [undefined]])("refuses an index without a map (%j)", async (map) => {
    const folder = await copy("qwen2");
    await editJson(join(folder, "model.safetensors.index.json"), { weight_map: map });
    expect(await complaint(folder)).toMatch(/^model\.safetensors\.index\.json: field weight_map /);
  });
});
