// Makes a shape's files once and keeps them in the bench's cache: checkpoint, model folder, GGUF.
// All are made anew when the sources that make them change, so that no old graph is ever measured.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { importCheckpoint } from "../../runtime/importer/import-checkpoint.ts";
import { writeCheckpoint } from "./checkpoint-writer.ts";
import { writeGguf } from "./gguf-checkpoint.ts";
import { exportForTransformers } from "./transformers-export.ts";
import type { Artifacts } from "./runner.ts";
import type { BenchShape } from "./shapes.ts";

const SEED = 20_240_601;
const repository = join(import.meta.dirname, "..", "..");

/** Everything of a shape, made where it is missing; `say` hears what takes time. */
export async function prepareArtifacts(
  shape: BenchShape,
  blockSize: number,
  cacheFolder: string,
  say: (line: string) => void,
): Promise<Artifacts> {
  const version = await sourcesVersion(blockSize);
  const folder = join(cacheFolder, shape.id, version);
  await removeOthers(join(cacheFolder, shape.id), version);
  await mkdir(folder, { recursive: true });
  const checkpoint = join(folder, "checkpoint");
  await once(checkpoint, async (target) => {
    say(`${shape.id}: writing a random checkpoint`);
    await writeCheckpoint(target, shape.sizes, shape.windowTokens, SEED);
  });
  const ggufPath = join(folder, "model.gguf");
  const type = shape.precision === "int4" ? "Q4_0" : "Q8_0";
  await once(ggufPath, async (target) => {
    say(`${shape.id}: writing GGUF ${type}`);
    await writeGguf(checkpoint, target, shape.sizes, shape.windowTokens, type);
  });
  let modelFolder = join(folder, "model");
  if (shape.modelFolder !== null) modelFolder = join(repository, shape.modelFolder);
  else if (!(await exists(modelFolder))) {
    say(`${shape.id}: importing at ${shape.precision}`);
    await importModel(shape, blockSize, checkpoint, folder);
  }
  const transformersFolder = join(folder, "transformers");
  await once(transformersFolder, async (target) => {
    say(`${shape.id}: writing the graph for transformers`);
    await exportForTransformers(modelFolder, checkpoint, target, shape.sizes);
  });
  return { modelFolder, transformersFolder, ggufPath };
}

async function importModel(shape: BenchShape, blockSize: number, source: string, outFolder: string): Promise<void> {
  await importCheckpoint(
    {
      source,
      id: "model",
      role: "assistant",
      precision: shape.precision,
      headPrecision: null,
      kvPrecision: null,
      blockSize,
      accuracyLevel: null,
      outFolder,
      contextWindow: null,
      endOfConversation: null,
      responseRole: null,
      isBatchInvariant: false,
      licence: "Apache-2.0",
      provenance: "random weights",
      baseModel: null,
      createdAt: new Date(0),
      isReplacing: false,
    },
    () => {},
    new AbortController().signal,
  );
}

async function removeOthers(folder: string, version: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (name !== version) await rm(join(folder, name), { recursive: true, force: true });
}

/** A short hash over everything that decides what the files look like. */
async function sourcesVersion(blockSize: number): Promise<string> {
  const hash = createHash("sha256").update(`block ${blockSize}`);
  for (const folder of ["runtime/importer", "runtime/onnx", "test/bench"]) {
    for (const name of (await readdir(join(repository, folder))).toSorted()) {
      if (folder === "test/bench" && !OWN_SOURCES.has(name)) continue;
      hash.update(name).update(await readFile(join(repository, folder, name)));
    }
  }
  hash.update(await readFile(join(repository, "test/fixtures/seed-pair/usergpt/manifest.json")));
  return hash.digest("hex").slice(0, 12);
}

const OWN_SOURCES: ReadonlySet<string> = new Set([
  "shapes.ts",
  "checkpoint-writer.ts",
  "gguf-writer.ts",
  "gguf-checkpoint.ts",
  "transformers-export.ts",
]);

/** Makes `path` whole or not at all. */
async function once(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  if (await exists(path)) return;
  const temporary = `${path}.partial`;
  await rm(temporary, { recursive: true, force: true });
  await make(temporary);
  await rename(temporary, path);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
