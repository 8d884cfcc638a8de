// Owns a round's record.json: which steps are done, what each was made from and what it made, all by SHA-256. A step that stands in
// it is not done again. It holds no times, so a run that was interrupted ends with the very record of one that was not.
// It does not know what steps do.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { FlagError } from "../prepare/flags.ts";
import { jsonText, sha256Of, writeWhole } from "./whole-file.ts";

const RECORD_FILE = "record.json";

/**
 * SHA-256 by name. A name is a path within the run folder; `data FILE` for a file of the command line; `model ID` for a model by the
 * hash of its manifest, which is over the hashes of its files; `served ID` for the same in the models folder.
 */
const hashes = z.record(z.string(), z.string());
export type Hashes = Readonly<Record<string, string>>;

const stepSchema = z.object({ inputs: hashes, outputs: hashes, facts: z.record(z.string(), z.unknown()) });

const modelSchema = z.object({ id: z.string(), hash: z.string() });
const pairSchema = z.object({ user: modelSchema, assistant: modelSchema });

const recordSchema = z.object({
  format: z.literal("realchat-loop/1"),
  round: z.int().positive(),
  /** Who played, and who is to play next: equal where nobody was accepted. */
  begins: pairSchema,
  ends: pairSchema.nullable(),
  /** In the order in which they were done. */
  steps: z.record(z.string(), stepSchema),
});

export type RoundRecordJson = Readonly<z.infer<typeof recordSchema>>;
export type ModelPair = RoundRecordJson["begins"];
export type StepRecord = Readonly<z.infer<typeof stepSchema>>;

/** What a step made, and what else is to be remembered of it. */
export interface StepResult {
  readonly outputs: Hashes;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Reads a record; null where there is none. Throws an Error that names the file. */
export async function readRecord(folder: string): Promise<RoundRecordJson | null> {
  const path = join(folder, RECORD_FILE);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${path} is no record of a round`, { cause });
  }
}

/** The ids of the models that were accepted in a round. */
export function acceptedIn({ steps }: RoundRecordJson): string[] {
  const served = Object.values(steps).flatMap(({ outputs }) => Object.keys(outputs));
  return served.flatMap((name) => /^served (.+)$/.exec(name)?.[1] ?? []);
}

export class RoundRecord {
  readonly #runFolder: string;
  readonly #folder: string;
  #json: RoundRecordJson;

  private constructor(runFolder: string, folder: string, json: RoundRecordJson) {
    this.#runFolder = runFolder;
    this.#folder = folder;
    this.#json = json;
  }

  /** Opens the record of a round in `at`, within the run folder, or begins one. Throws FlagError where it began with other models. */
  static async open(runFolder: string, at: string, round: number, begins: ModelPair): Promise<RoundRecord> {
    const folder = join(runFolder, at);
    await mkdir(folder, { recursive: true });
    const found = await readRecord(folder);
    const json = found ?? { format: "realchat-loop/1" as const, round, begins, ends: null, steps: {} };
    for (const role of ["user", "assistant"] as const) {
      if (json.begins[role].hash === begins[role].hash) continue;
      throw new FlagError(
        `round ${round} in ${folder} began with another ${role} model than ${begins[role].id} is now`,
      );
    }
    return new RoundRecord(runFolder, folder, json);
  }

  get json(): RoundRecordJson {
    return this.#json;
  }

  /**
   * Does a step, or gives what it made when it was done before. Throws FlagError when it was made from something else than `inputs`,
   * and when a file that it is to be made from is another one by now. The record is on the disk when it resolves.
   */
  async step(name: string, inputs: Hashes, make: () => Promise<StepResult>): Promise<StepRecord> {
    const done = this.#json.steps[name];
    if (done !== undefined) {
      const changed = Object.keys({ ...done.inputs, ...inputs }).find((input) => done.inputs[input] !== inputs[input]);
      if (changed === undefined) return done;
      throw new FlagError(`${this.#folder}: the step ${name} was made from another ${changed} than there is now`);
    }
    for (const [input, sha256] of Object.entries(inputs)) await this.#assertAsRecorded(input, sha256);
    const step = { inputs, ...(await make()) };
    await this.#write({ ...this.#json, steps: { ...this.#json.steps, [name]: step } });
    return step;
  }

  /** Notes who plays next. */
  async end(ends: ModelPair): Promise<void> {
    if (this.#json.ends === null) await this.#write({ ...this.#json, ends });
  }

  /** Models and files of the command line are looked at where the run is opened. */
  async #assertAsRecorded(name: string, sha256: string): Promise<void> {
    if (/^(?:model|served|data) /.test(name)) return;
    const content = await readFile(join(this.#runFolder, name)).catch(() => null);
    if (content !== null && sha256Of(content) === sha256) return;
    const what = content === null ? "is gone" : "has changed since the record named it";
    throw new FlagError(`${join(this.#runFolder, name)} ${what}: put it back, or begin anew with another --run-folder`);
  }

  async #write(json: RoundRecordJson): Promise<void> {
    // Plain JSON, as it will be read again.
    this.#json = recordSchema.parse(JSON.parse(JSON.stringify(json)));
    await writeWhole(join(this.#folder, RECORD_FILE), jsonText(json));
  }
}
