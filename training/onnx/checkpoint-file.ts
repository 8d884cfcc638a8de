// Owns what a stopped run needs to go on as if it had never stopped: trained weights, moments, position, the best so far.
// Files are whole or absent. It knows neither data nor network.
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { NamedTensor } from "../../runtime/checkpoint/checkpoint-tensors.ts";
import { writeSafetensors } from "../../runtime/checkpoint/safetensors-writer.ts";
import { openSafetensors, type SafetensorsFile } from "../../runtime/importer/safetensors.ts";
import { BadInput } from "./bad-input.ts";
import type { FlatBuffer } from "./buffers.ts";
import { type Parameter, valueCount } from "./parameters.ts";

/** Where a run stands. */
export interface Progress {
  /** Optimizer steps done. */
  readonly step: number;
  /** Best held-out loss so far, Infinity for none, the step it was measured at, and measures without a better one since. */
  readonly best: number;
  readonly bestStep: number;
  readonly waited: number;
  /** SHA-256 of the training examples. */
  readonly dataSha256: string;
}

const NAME = /^step-(\d+)\.safetensors$/;
const CHUNK_VALUES = 1 << 20;

const progressSchema = z.object({
  step: z.int().nonnegative(),
  best: z.number().nullable(),
  bestStep: z.int().nonnegative(),
  waited: z.int().nonnegative(),
  dataSha256: z.string(),
});

/** Buffers by the name that their tensors begin with. */
export type State = Readonly<Record<string, FlatBuffer>>;

/** Writes step-N and deletes all but the `keep` newest. */
export async function saveCheckpoint(folder: string, progress: Progress, state: State, keep: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { step, best, bestStep, waited, dataSha256 } = progress;
  // In a fixed order: equal states are equal files.
  const fields = { step, best: Number.isFinite(best) ? best : null, bestStep, waited, dataSha256 };
  await saveState(pathOf(folder, step), state, { progress: JSON.stringify(fields) });
  const steps = await stepsIn(folder);
  for (const old of steps.slice(0, Math.max(0, steps.length - keep))) await rm(pathOf(folder, old));
}

/** Restores the newest checkpoint; null where there is none. Throws BadInput for one that cannot be read. */
export async function loadCheckpoint(folder: string, state: State): Promise<Progress | null> {
  const step = (await stepsIn(folder)).at(-1);
  if (step === undefined) return null;
  const path = pathOf(folder, step);
  try {
    const metadata = await readState(path, state);
    const { best, ...progress } = progressSchema.parse(JSON.parse(metadata["progress"] ?? ""));
    return { ...progress, best: best ?? Number.POSITIVE_INFINITY };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BadInput(`${path} cannot be read (${reason}); delete it to go on from the one before`);
  }
}

/** Writes the tensors of buffers to one file; after a crash there is the old one or the new one. */
export async function saveState(
  path: string,
  state: State,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const work = `${path}.writing`;
  try {
    await writeSafetensors(work, tensorsOf(state), { type: "F32", metadata });
    await rename(work, path);
  } catch (error) {
    await rm(work, { force: true });
    throw error;
  }
}

/** Fills buffers from a file of saveState. Gives the file's metadata. */
export async function readState(path: string, state: State): Promise<Readonly<Record<string, string>>> {
  const file = await openSafetensors(path);
  try {
    for (const [prefix, buffer] of Object.entries(state)) {
      for (const parameter of buffer.layout.parameters)
        await readTensor(file, `${prefix}${parameter.name}`, parameter, buffer);
    }
    return file.metadata;
  } finally {
    await file.close();
  }
}

async function readTensor(
  file: SafetensorsFile,
  name: string,
  parameter: Parameter,
  buffer: FlatBuffer,
): Promise<void> {
  const tensor = file.tensors.get(name);
  if (tensor === undefined || tensor.shape.join() !== parameter.shape.join())
    throw new Error(`${name} is missing or misshapen`);
  const count = valueCount(parameter);
  for (let first = 0; first < count; first += CHUNK_VALUES) {
    const values = new Float32Array(Math.min(CHUNK_VALUES, count - first));
    await file.readValues(tensor, first, values);
    await buffer.write(parameter, first, values);
  }
}

function tensorsOf(state: State): NamedTensor[] {
  return Object.entries(state).flatMap(([prefix, buffer]) =>
    buffer.layout.parameters.map((parameter) => ({
      name: `${prefix}${parameter.name}`,
      isVector: parameter.shape.length === 1,
      source: buffer.rows(parameter),
    })),
  );
}

function pathOf(folder: string, step: number): string {
  return join(folder, `step-${step}.safetensors`);
}

/** Ascending. */
async function stepsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  const steps = names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
  return steps.toSorted((a, b) => a - b);
}
