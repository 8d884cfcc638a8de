// Copies of the seed pair in folders of their own, under other ids and with each other's weights: real models that differ.
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MODELS_FOLDER as models } from "./engine.ts";

type Embedded = "usergpt" | "realm";

/** Writes `folder` in one move, in the place of what is there: the text side of one model over the weights of one of the pair. */
export async function writePairFolder(
  folder: string,
  id: string,
  text: Embedded,
  weights: Embedded,
  provenance: object = {},
): Promise<void> {
  const work = join(dirname(folder), `.${createHash("sha256").update(folder).digest("hex").slice(0, 8)}.copying`);
  await mkdir(dirname(folder), { recursive: true });
  await cp(join(models, text), work, { recursive: true });
  const [own, other] = [await manifestOf(text), await manifestOf(weights)];
  for (const name of ["model.onnx", "model.onnx.data"]) {
    await cp(join(models, weights, name), join(work, name));
    own.files[name] = other.files[name];
  }
  const manifest = { ...own, id, provenance: { ...own.provenance, ...provenance } };
  await writeFile(join(work, "manifest.json"), JSON.stringify(manifest));
  const old = `${work}.old`;
  await rename(folder, old).catch(() => {});
  await rename(work, folder);
  await rm(old, { recursive: true, force: true });
}

async function manifestOf(id: Embedded) {
  return JSON.parse(await readFile(join(models, id, "manifest.json"), "utf8")) as {
    files: Record<string, unknown>;
    provenance: object;
  };
}
