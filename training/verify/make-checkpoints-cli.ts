// Makes what verify_checkpoint.py loads: recorded checkpoints and the embedded pair, imported, written as checkpoints again, and the
// logits that the engine computes from the imported model.
// Usage: node training/verify/make-checkpoints-cli.ts FOLDER
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeCheckpoint } from "../../runtime/checkpoint/write-checkpoint.ts";
import { openDecoder } from "../../runtime/engine/decoder.ts";
import { importCheckpoint } from "../../runtime/importer/import-checkpoint.ts";
import { readManifest } from "../../runtime/manifest.ts";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";

const root = join(import.meta.dirname, "..", "..");
const recorded = join(root, "test", "fixtures", "checkpoints");
const names = ["llama3", "smollm2", "llama-bias", "mistral", "qwen2", "qwen3"];
const precisions = ["float32", "float16", "int8", "int4"] as const;
const signal = new AbortController().signal;
const window = 64;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("Usage: node training/verify/make-checkpoints-cli.ts FOLDER");
const prompts = JSON.parse(await readFile(join(recorded, "prompts.json"), "utf8")) as number[][];
for (const name of names) {
  for (const precision of precisions) {
    const model = await importCheckpoint(
      {
        source: join(recorded, name),
        outFolder: join(folder, "models"),
        id: `${name}-${precision}`,
        role: "assistant",
        precision,
        headPrecision: null,
        kvPrecision: "float32",
        blockSize: 32,
        // Activations as they are, so that only the weights' own rounding is compared.
        accuracyLevel: 0,
        contextWindow: window,
        endOfConversation: null,
        responseRole: null,
        isBatchInvariant: false,
        licence: "Apache-2.0",
        provenance: "",
        baseModel: null,
        createdAt: new Date(0),
        isReplacing: true,
      },
      () => {},
      signal,
    );
    await makeCase(`${name}-${precision}`, model);
  }
}
for (const name of ["usergpt", "realm"]) await makeCase(name, join(root, "models", name));
console.log(folder);

async function makeCase(name: string, modelFolder: string): Promise<void> {
  const target = join(folder ?? "", "checkpoints", name);
  await mkdir(join(target, ".."), { recursive: true });
  await writeCheckpoint({ modelFolder, outFolder: target, isReplacing: true }, () => {}, signal);
  await writeFile(join(target, "prompts.json"), JSON.stringify(prompts));
  await writeFile(join(target, "engine.f32"), await engineLogits(modelFolder));
}

/** Of all positions of all prompts, one after the other. */
async function engineLogits(modelFolder: string): Promise<Uint8Array> {
  const manifest = await readManifest(modelFolder);
  const environment = openEnvironment({ threads: null });
  const device = chooseDevice(environment.api, "cpu", manifest.kvPrecision, () => {});
  const options = { folder: modelFolder, manifest, slots: window, maxTokens: window, prefillChunkTokens: window };
  const decoder = await openDecoder(environment, device, options);
  const rows: Uint8Array[] = [];
  for (const prompt of prompts) {
    const positions = prompt.map((_, position) => position);
    await decoder.compute(0, prompt, 0, positions);
    for (const position of positions) rows.push(Buffer.from((await decoder.head.readRow(position)).slice().buffer));
  }
  decoder.release();
  environment.release();
  return Buffer.concat(rows);
}
