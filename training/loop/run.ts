// Owns a run as a whole: its folder, what it began with (settings.json), and that it goes on with nothing else.
// It plays, trains and scores nothing.
import { randomUUID } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { fileHash } from "../../runtime/importer/file-hash.ts";
import { isObject } from "../../runtime/importer/json.ts";
import { readManifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { FlagError, modelFolderOf } from "../prepare/flags.ts";
import type { LoopOptions } from "./options.ts";
import type { Hashes } from "./record.ts";
import { jsonText, sha256Of, writeWhole } from "./whole-file.ts";

export const SETTINGS_FILE = "settings.json";
/** Tells this run from others with the same settings, on a gateway that both use. In no record. */
const RUN_ID_FILE = "run-id";

/** A model folder, by what is in it. */
export interface LoopModel {
  readonly id: string;
  /** Of its manifest, which names every file by its hash. */
  readonly hash: string;
  readonly folder: string;
}

export type LoopModels = Readonly<Record<ModelRole, LoopModel>>;

export interface Run {
  readonly options: LoopOptions;
  /** Absolute. */
  readonly folder: string;
  readonly modelsFolder: string;
  readonly runId: string;
  readonly settingsSha256: string;
  /** Of the files of held-out dialogues, as `data FILE`. */
  readonly heldout: Hashes;
  /** Who plays the first round. */
  readonly start: LoopModels;
  /** Further fields of the request for a job. */
  readonly selfplay: Readonly<Record<string, unknown>>;
}

/** Fields that the loop decides. */
const OWN_FIELDS = ["count", "user", "assistant", "seed", "metadata"];

/**
 * Opens the run that the options name, or begins it; the folder must be there. Throws FlagError for inputs that cannot be, for a
 * folder that holds a run when none is to be resumed, and for everything that is not as it was when the run began.
 */
export async function openRun(options: LoopOptions, signal: AbortSignal): Promise<Run> {
  const { runFolder, isResuming, models } = options;
  const path = join(runFolder, SETTINGS_FILE);
  const earlier = await readJson(path);
  if (earlier !== null && !isResuming) {
    throw new FlagError(
      `${runFolder} holds an earlier run: --resume goes on with it, another --run-folder begins anew`,
    );
  }
  const start = {
    user: await openStart("user", models.user),
    assistant: await openStart("assistant", models.assistant),
  };
  const heldout: Record<string, string> = {};
  for (const file of options.heldout) heldout[`data ${file}`] = await hashOf("heldout", file, signal);
  const selfplay = await readSelfplay(options);
  const began = {
    format: "realchat-loop/1",
    settings: options.settings,
    inputs: {
      user: { id: start.user.id, hash: start.user.hash },
      assistant: { id: start.assistant.id, hash: start.assistant.hash },
      heldout,
      selfplay,
    },
  };
  if (earlier === null) {
    await assertNamesFree(options, start);
    await writeWhole(path, jsonText(began));
  } else {
    assertSame(runFolder, earlier, JSON.parse(JSON.stringify(began)) as Began);
  }
  const modelsFolder = resolve(options.modelsFolder);
  await mkdir(modelsFolder, { recursive: true });
  return {
    options,
    folder: resolve(runFolder),
    modelsFolder,
    runId: await readRunId(join(runFolder, RUN_ID_FILE)),
    settingsSha256: sha256Of(jsonText(began)),
    heldout,
    start,
    selfplay,
  };
}

/** What an accepted model of a round is called: after the model that the run began with, whatever was accepted between. */
export function acceptedId({ options, start }: Pick<Run, "options" | "start">, role: ModelRole, round: number): string {
  return acceptedName(start[role].id, options.name, round);
}

/** The same of a run that has not begun. */
export function acceptedName(startId: string, name: string, round: number): string {
  const base = /^ft:([^:]+)/.exec(startId)?.[1] ?? startId;
  return `ft:${base}:${name}-${round}`;
}

/** A model folder as it is now. Throws EngineError("bad_model"). */
export async function readModel(folder: string): Promise<LoopModel> {
  const { id, hash } = await readManifest(folder);
  return { id, hash, folder };
}

interface Began {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, unknown>>;
}

async function openStart(role: ModelRole, named: string): Promise<LoopModel> {
  let folder: string;
  try {
    folder = modelFolderOf(named);
  } catch (cause) {
    throw new FlagError(`--${role} names no model folder: ${named}`, { cause });
  }
  const manifest = await readManifest(folder);
  if (manifest.role !== role) {
    throw new FlagError(`--${role} ${named} is a model that writes the ${manifest.role}'s turns`);
  }
  return { id: manifest.id, hash: manifest.hash, folder: resolve(folder) };
}

async function readSelfplay({ selfplayFile: file }: LoopOptions): Promise<Readonly<Record<string, unknown>>> {
  if (file === null) return {};
  const body = await readJson(file, (reason) => new FlagError(`--selfplay ${file} cannot be read: ${reason}`));
  if (body === null) throw new FlagError(`--selfplay ${file} cannot be read: there is no such file`);
  const own = OWN_FIELDS.find((field) => field in body);
  if (own !== undefined) throw new FlagError(`--selfplay ${file} holds "${own}", which the loop decides`);
  return body;
}

async function assertNamesFree(options: LoopOptions, start: LoopModels): Promise<void> {
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const role of options.roles) {
      const folder = join(options.modelsFolder, modelFolderName(acceptedId({ options, start }, role, round)));
      if ((await stat(folder).catch(() => null)) === null) continue;
      throw new FlagError(`${folder} is there already: another --name or --out keeps the runs apart`);
    }
  }
}

/** Throws FlagError that names the first setting or input that is another one. */
function assertSame(runFolder: string, earlier: Readonly<Record<string, unknown>>, now: Began): void {
  const settings = isObject(earlier["settings"]) ? earlier["settings"] : {};
  for (const flag of Object.keys({ ...settings, ...now.settings })) {
    const [before, value] = [settings[flag] ?? null, now.settings[flag] ?? null];
    if (JSON.stringify(before) === JSON.stringify(value)) continue;
    throw new FlagError(
      `the run in ${runFolder} began with --${flag} ${shown(before)}, and cannot go on with ${shown(value)}`,
    );
  }
  const inputs = isObject(earlier["inputs"]) ? earlier["inputs"] : {};
  for (const [flag, value] of Object.entries(now.inputs)) {
    if (JSON.stringify(inputs[flag]) === JSON.stringify(value)) continue;
    const what = changedFile(inputs[flag], value) ?? String(now.settings[flag]);
    throw new FlagError(`the run in ${runFolder} began with another content of --${flag} ${what} than there is now`);
  }
}

function changedFile(before: unknown, now: unknown): string | null {
  if (!isObject(before) || !isObject(now)) return null;
  const name = Object.keys(now).find((key) => key.startsWith("data ") && before[key] !== now[key]);
  return name?.slice("data ".length) ?? null;
}

function shown(value: unknown): string {
  if (value === null) return "not given";
  return typeof value === "string" ? value : JSON.stringify(value);
}

async function readRunId(path: string): Promise<string> {
  const found = await readFile(path, "utf8").catch(() => null);
  if (found !== null) return found.trim();
  const id = randomUUID();
  await writeWhole(path, `${id}\n`);
  return id;
}

async function hashOf(flag: string, file: string, signal: AbortSignal): Promise<string> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile()) throw new FlagError(`--${flag} ${file} is no file`);
  return (await fileHash(file, () => {}, signal)).sha256;
}

/** Null where there is no such file. */
async function readJson(
  path: string,
  toError: (reason: string) => Error = (reason) => new Error(`${path} cannot be read: ${reason}`),
): Promise<Readonly<Record<string, unknown>> | null> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw toError(error instanceof Error ? error.message : String(error));
  }
  if (!isObject(value)) throw toError("it holds no JSON object");
  return value;
}
