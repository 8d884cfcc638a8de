// A checkpoint written from a served model is the model again: exactly what was imported where nothing was rounded, and exactly
// what is served where it was.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { writeCheckpoint } from "../../../runtime/checkpoint/write-checkpoint.ts";
import type { ImportOptions } from "../../../runtime/importer/import-checkpoint.ts";
import { decodeFloats } from "../../../runtime/importer/safetensors.ts";
import { readManifest } from "../../../runtime/manifest.ts";
import { readTextSide } from "../../../runtime/text-side.ts";
import {
  copyOf,
  editJson,
  float32Tensor,
  importOptions,
  importQuietly,
  readSafetensors,
  RECORDED,
  recordedFolder,
  recordedLogits,
  safetensorsBytes,
  scratchFolder,
} from "../../support/checkpoints.ts";
import { openDecoderRun } from "../../support/decoder-run.ts";

const never = new AbortController().signal;
const scratch = await scratchFolder();
let counter = 0;
const newFolder = () => join(scratch, `folder-${counter++}`);

const importAs = (source: string, change: Partial<ImportOptions>) =>
  importQuietly(importOptions(source, newFolder(), { contextWindow: 64, ...change }));

async function written(modelFolder: string): Promise<string> {
  return writeCheckpoint({ modelFolder, outFolder: newFolder(), isReplacing: false }, () => {}, never);
}

/** Every tensor of a checkpoint as float32, by name. */
async function valuesOf(folder: string): Promise<Map<string, { shape: readonly number[]; values: Float32Array }>> {
  const found = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".safetensors"))) {
    for (const [name, { dtype, shape, bytes }] of Object.entries(readSafetensors(await readFile(join(folder, file))))) {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") throw new Error(`${name} is ${dtype}`);
      decodeFloats(dtype, bytes, values);
      found.set(name, { shape, values });
    }
  }
  return found;
}

function bytesOf(values: Float32Array = new Float32Array()): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

async function json(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
}

describe.each(RECORDED)("%s", (name) => {
  test("imported in float32, its weights come back bit for bit under their own names, and so do all other files", async () => {
    const source = recordedFolder(name);
    const checkpoint = await written(await importAs(source, {}));
    const [expected, found] = [await valuesOf(source), await valuesOf(checkpoint)];
    expect([...found.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
    for (const [tensor, { shape, values }] of expected) {
      const own = found.get(tensor);
      expect({ tensor, shape: own?.shape }).toEqual({ tensor, shape });
      const isSame = bytesOf(own?.values).equals(bytesOf(values));
      expect({ tensor, isSame }).toEqual({ tensor, isSame: true });
    }
    const config = await json(join(source, "config.json"));
    expect(await json(join(checkpoint, "config.json"))).toEqual({ ...config, dtype: "float32" });
    for (const file of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
      expect(await readFile(join(checkpoint, file))).toEqual(await readFile(join(source, file)));
    }
  });

  test.each([
    ["float16", { precision: "float16" }],
    ["int8", { precision: "int8" }],
    ["int4 in blocks of 16, head in int8", { precision: "int4", blockSize: 16, headPrecision: "int8" }],
  ] as const)("%s: imported again, it is the same graph over the same bytes", async (_, change) => {
    const model = await importAs(recordedFolder(name), change);
    const back = await importAs(await written(model), change);
    expect((await readManifest(back)).hash).toBe((await readManifest(model)).hash);
  });
});

test.each([
  ["float32 with a float16 cache", { precision: "float32", kvPrecision: "float16" }],
  ["int8 in blocks that do not divide a row", { precision: "int8", blockSize: 64 }],
  ["int4, head in float", { precision: "int4", headPrecision: "float" }],
] as const)("%s: imported again, it is the same graph over the same bytes", async (_, change) => {
  for (const name of ["llama-bias", "qwen3"] as const) {
    const model = await importAs(recordedFolder(name), change);
    const back = await importAs(await written(model), change);
    expect({ name, hash: (await readManifest(back)).hash }).toEqual({ name, hash: (await readManifest(model)).hash });
  }
});

test.each(["int8", "int4"] as const)(
  "%s with float16 scales: imported again, logits agree to 0.2 %% of their size",
  async (precision) => {
    const { prompts } = await recordedLogits("smollm2");
    const change = { precision, kvPrecision: "float16", accuracyLevel: 0 } as const;
    const model = await importAs(recordedFolder("smollm2"), change);
    const back = await importAs(await written(model), change);
    expect(await relativeDifference(model, back, prompts)).toBeLessThan(0.002);
  },
);

test("a checkpoint written from int8 and imported in float32 computes what the int8 model computes", async () => {
  const { prompts } = await recordedLogits("llama3");
  const model = await importAs(recordedFolder("llama3"), { precision: "int8", accuracyLevel: 0 });
  const plain = await importAs(await written(model), {});
  expect(await relativeDifference(model, plain, prompts)).toBeLessThan(1e-5);
});

test.each(["usergpt", "realm"])(
  "models/%s becomes a checkpoint whose import is that model, template included",
  async (id) => {
    const model = fileURLToPath(new URL(`../../../models/${id}`, import.meta.url));
    const manifest = await readManifest(model);
    const checkpoint = await written(model);
    const change = { id, role: manifest.role, precision: "int8", contextWindow: null, isBatchInvariant: true } as const;
    const back = await importAs(checkpoint, change);
    const again = await readManifest(back);
    expect(again.hash).toBe(manifest.hash);
    expect(again.tokens).toEqual(manifest.tokens);
    const [one, two] = [await readTextSide(model, manifest), await readTextSide(back, again)];
    expect(two.template.hash).toBe(one.template.hash);
  },
);

test.each(["int8", "int4"] as const)(
  "%s: a training that moved weights by less than half a step survives a dithered import, and no other",
  async (precision) => {
    const model = await importAs(recordedFolder("smollm2"), { precision });
    const checkpoint = await written(model);
    const name = "model.layers.0.mlp.down_proj.weight";
    const file = join(checkpoint, "model.safetensors");
    const tensors = readSafetensors(await readFile(file));
    const { shape, values } = (await valuesOf(checkpoint)).get(name)!;
    const [rows = 0, columns = 0] = shape;
    const step = Math.max(...values.map(Math.abs)) / (precision === "int8" ? 127 : 8);
    const moved = values.map((value) => value + 0.1 * step);
    await writeFile(file, safetensorsBytes({ ...tensors, [name]: float32Tensor([rows, columns], moved) }));
    const mean = async (folder: string) => {
      const { values: found } = (await valuesOf(await written(folder))).get(name)!;
      return found.reduce((sum, value, i) => sum + value - (values[i] ?? NaN), 0) / found.length / (0.1 * step);
    };
    const nearest = await mean(await importAs(checkpoint, { precision }));
    const dithered = await mean(await importAs(checkpoint, { precision, isDithered: true }));
    expect(Math.abs(nearest)).toBeLessThan(0.35);
    expect(Math.abs(dithered - 1)).toBeLessThan(0.2);
  },
);

describe("refused, with nothing left behind", () => {
  test("a folder that is there already, unless it is to be replaced", async () => {
    const model = await importAs(recordedFolder("smollm2"), {});
    const outFolder = await written(model);
    const precious = join(outFolder, "precious");
    await writeFile(precious, "");
    await expect(
      writeCheckpoint({ modelFolder: model, outFolder, isReplacing: false }, () => {}, never),
    ).rejects.toMatchObject({
      code: "invalid_request",
      message: `${outFolder} exists already; --force replaces it`,
    });
    expect(await readdir(outFolder)).toContain("precious");
    await writeCheckpoint({ modelFolder: model, outFolder, isReplacing: true }, () => {}, never);
    expect(await readdir(outFolder)).not.toContain("precious");
  });

  const damages: readonly [string, (folder: string) => Promise<void>, RegExp][] = [
    [
      "a manifest of an older importer",
      (folder) => editJson(join(folder, "manifest.json"), { provenance: { source: "long ago" } }),
      /manifest\.json: has no provenance\.config, .*: import its checkpoint again$/,
    ],
    [
      "weights that are not those of the manifest",
      (folder) => writeFile(join(folder, "model.onnx.data"), "short"),
      /model\.onnx\.data: has 5 bytes, and manifest\.json says \d+$/,
    ],
  ];
  test.each(damages)("%s", async (_, damage, message) => {
    const model = await importAs(recordedFolder("smollm2"), {});
    await damage(model);
    const outFolder = newFolder();
    await expect(
      writeCheckpoint({ modelFolder: model, outFolder, isReplacing: false }, () => {}, never),
    ).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringMatching(message) as string,
    });
    expect((await readdir(scratch)).filter((entry) => entry.includes("writing"))).toEqual([]);
    expect(await readdir(outFolder).catch(() => null)).toBeNull();
  });

  test("a configuration of another network than the weights", async () => {
    const model = await importAs(recordedFolder("smollm2"), {});
    const { provenance } = await readManifest(model);
    const config = { ...(provenance["config"] as object), intermediate_size: 96 };
    await editJson(join(model, "manifest.json"), { provenance: { ...provenance, config } });
    await expect(written(model)).rejects.toThrow(/layers\.0\.mlp\.gate_up\.weight has shape \[128, 32\]/);
  });

  test("an abort, at any point", async () => {
    const model = await importAs(await copyOf("llama3", scratch, "for-abort"), {});
    for (const stopAt of [0, 1, 5]) {
      const abort = new AbortController();
      const outFolder = newFolder();
      let seen = 0;
      const onProgress = () => {
        if (seen++ === stopAt) abort.abort();
      };
      await expect(
        writeCheckpoint({ modelFolder: model, outFolder, isReplacing: false }, onProgress, abort.signal),
      ).rejects.toThrow("aborted");
      expect(await readdir(outFolder).catch(() => null)).toBeNull();
    }
    expect((await readdir(scratch)).filter((entry) => entry.includes("writing"))).toEqual([]);
  });
});

/** Root mean square of the difference of two models' logits over that of the first one's. */
async function relativeDifference(one: string, two: string, prompts: readonly (readonly number[])[]): Promise<number> {
  const [a, b] = [await logitsOf(one, prompts), await logitsOf(two, prompts)];
  let difference = 0;
  let size = 0;
  for (const [at, value] of a.entries()) {
    difference += (value - (b[at] ?? NaN)) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}

async function logitsOf(folder: string, prompts: readonly (readonly number[])[]): Promise<number[]> {
  const run = await openDecoderRun(folder, { maxLength: 64 });
  const logits: number[] = [];
  for (const prompt of prompts) {
    run.reset();
    for (const row of await run.feed([prompt])) logits.push(...row);
  }
  run.close();
  return logits;
}
