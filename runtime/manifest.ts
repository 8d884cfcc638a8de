// Owns `manifest.json`, which makes a folder a served model: reading it, checking it, and the files it vouches for.
// It knows what the fields mean, not what is inside the files.
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { ModelRole } from "./chat-model.ts";
import { EngineError } from "./errors.ts";
import { type FileHash, fileHash } from "./importer/file-hash.ts";
import { badModel, FieldReader, isObject, type JsonObject, readJsonObject } from "./importer/json.ts";
import { isModelId, modelIdRule } from "./model-id.ts";

export const manifestName = "manifest.json";

/** The shapes of the network that its memory and its inputs depend on. */
interface NetworkShape {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
}

/** Token ids with a meaning. */
interface ManifestTokens {
  /** Each ends a turn. */
  readonly stopIds: readonly number[];
  /** One of them; the model says it instead of a turn. */
  readonly endOfConversationId: number | null;
  readonly bosId: number | null;
  readonly padId: number | null;
}

export interface Manifest {
  readonly id: string;
  readonly role: ModelRole;
  readonly format: string;
  readonly architecture: string;
  readonly precision: string;
  readonly kvPrecision: "float32" | "float16";
  /** Tokens, prompt and reply together. */
  readonly contextWindow: number;
  /** Unix seconds. */
  readonly createdAtS: number;
  readonly responseRole: ModelRole;
  /** Lone sequences are computed as a row of two unless the configuration says otherwise. */
  readonly isBatchInvariant: boolean;
  readonly network: NetworkShape;
  readonly tokens: ManifestTokens;
  readonly licence: string;
  readonly provenance: JsonObject;
  /** By path inside the folder. */
  readonly files: ReadonlyMap<string, FileHash>;
  /** SHA-256 over files, network and tokens: changes whenever an answer could. */
  readonly hash: string;
}

const schemaVersion = 1;
const format = "realchat-decoder-1";
const roles: readonly ModelRole[] = ["user", "assistant"];
const kvPrecisions = ["float32", "float16"] as const;
const networkFields = ["layers", "heads", "kvHeads", "headDim", "hiddenSize", "vocabSize"] as const;

/** Reads and checks a folder's manifest. Throws EngineError("bad_model") naming the folder and the field. */
export async function readManifest(folder: string): Promise<Manifest> {
  try {
    return parseManifest(await readJsonObject(join(folder, manifestName)));
  } catch (cause) {
    throw inFolder(folder, cause);
  }
}

/** Checks the parsed content of a manifest. */
export function parseManifest(content: JsonObject): Manifest {
  const reader = new FieldReader(content, manifestName);
  const schema = reader.positiveInt("schema");
  if (schema !== schemaVersion) {
    throw reader.error("schema", `is ${schema}, and this version reads ${schemaVersion} only`);
  }
  const id = reader.string("id");
  if (!isModelId(id)) throw reader.error("id", modelIdRule);
  const network = readNetwork(reader);
  const tokens = readTokens(reader, network.vocabSize);
  const files = readFiles(reader);
  const createdAtMs = Date.parse(reader.string("createdAt"));
  if (Number.isNaN(createdAtMs)) throw reader.error("createdAt", "must be a date and time in ISO 8601 form");
  return {
    id,
    role: oneOf(reader, "role", roles),
    format: oneOf(reader, "format", [format]),
    architecture: reader.string("architecture"),
    precision: reader.string("precision"),
    kvPrecision: oneOf(reader, "kvPrecision", kvPrecisions),
    contextWindow: reader.positiveInt("contextWindow"),
    createdAtS: Math.floor(createdAtMs / 1000),
    responseRole: reader.has("responseRole") ? oneOf(reader, "responseRole", roles) : "assistant",
    isBatchInvariant: reader.boolean("batchInvariant", false),
    network,
    tokens,
    licence: reader.string("licence"),
    provenance: reader.has("provenance") ? objectField(reader, "provenance") : {},
    files,
    hash: createHash("sha256")
      .update(canonicalJson({ files: Object.fromEntries(files), network, tokens }))
      .digest("hex"),
  };
}

/**
 * Compares sizes, then contents of all files with the manifest. Throws EngineError("bad_model") for the first that
 * differs; stops between two pieces when the signal is aborted.
 */
export async function verifyFiles(folder: string, manifest: Manifest, signal: AbortSignal): Promise<void> {
  try {
    for (const [name, { bytes }] of manifest.files) {
      const found = await stat(join(folder, name)).catch(() => null);
      if (found === null || !found.isFile())
        throw badModel(name, `listed in ${manifestName}, but there is no such file`);
      if (found.size !== bytes) throw badModel(name, `has ${found.size} bytes, and ${manifestName} says ${bytes}`);
    }
    for (const [name, { sha256 }] of manifest.files) {
      const found = await fileHash(join(folder, name), () => {}, signal);
      if (found.sha256 !== sha256) {
        throw badModel(name, `has another content than ${manifestName} says (SHA-256 ${found.sha256}, not ${sha256})`);
      }
    }
  } catch (cause) {
    throw signal.aborted ? cause : inFolder(folder, cause);
  }
}

/** Adds the folder to the message of a broken model, so that it can be found among others. */
export function inFolder(folder: string, cause: unknown): unknown {
  if (!(cause instanceof EngineError) || cause.code !== "bad_model") return cause;
  return new EngineError("bad_model", `${folder}: ${cause.message}`, cause.detail, { cause });
}

function readNetwork(manifest: FieldReader): NetworkShape {
  const reader = manifest.object("network");
  if (reader === null) throw manifest.error("network", "is missing");
  const network = Object.fromEntries(networkFields.map((field) => [field, reader.positiveInt(field)]));
  return network as unknown as NetworkShape;
}

function readTokens(manifest: FieldReader, vocabSize: number): ManifestTokens {
  const reader = manifest.object("tokens");
  if (reader === null) throw manifest.error("tokens", "is missing");
  const isId = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < vocabSize;
  const idOrNull = (field: string): number | null => {
    const value = reader.raw(field) ?? null;
    if (value !== null && !isId(value)) throw reader.error(field, `must be null or a token id below ${vocabSize}`);
    return value as number | null;
  };
  const stopIds = reader.raw("stopIds");
  if (!Array.isArray(stopIds) || stopIds.length === 0 || !stopIds.every(isId)) {
    throw reader.error("stopIds", `must be a list of at least one token id below ${vocabSize}`);
  }
  const endOfConversationId = idOrNull("endOfConversationId");
  if (endOfConversationId !== null && !stopIds.includes(endOfConversationId)) {
    throw reader.error("endOfConversationId", "must be one of tokens.stopIds");
  }
  return { stopIds, endOfConversationId, bosId: idOrNull("bosId"), padId: idOrNull("padId") };
}

function readFiles(manifest: FieldReader): Map<string, FileHash> {
  const files = new Map<string, FileHash>();
  for (const [name, value] of Object.entries(objectField(manifest, "files"))) {
    const field = `files[${JSON.stringify(name)}]`;
    if (!isInside(name)) throw manifest.error(field, "must be a path inside the folder, with / between its parts");
    if (!isObject(value)) throw manifest.error(field, "must hold bytes and sha256");
    const { bytes, sha256 } = value;
    if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) {
      throw manifest.error(`${field}.bytes`, "must be a size in bytes");
    }
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw manifest.error(`${field}.sha256`, "must be 64 lower-case hexadecimal digits");
    }
    files.set(name, { bytes, sha256 });
  }
  if (!files.has("model.onnx")) throw manifest.error("files", "must list model.onnx");
  return files;
}

/** No absolute paths, no drive letters, no way up, on any system. */
function isInside(name: string): boolean {
  return name.split("/").every((part) => /^[A-Za-z0-9_][A-Za-z0-9._ -]*$/.test(part));
}

function objectField(reader: FieldReader, field: string): JsonObject {
  const value = reader.raw(field);
  if (!isObject(value)) throw reader.error(field, "must be an object");
  return value;
}

function oneOf<const Value extends string>(reader: FieldReader, field: string, values: readonly Value[]): Value {
  const given = reader.string(field);
  const value = values.find((candidate) => candidate === given);
  if (value !== undefined) return value;
  throw reader.error(field, `must be ${values.map((candidate) => `"${candidate}"`).join(" or ")}, not "${given}"`);
}

/** JSON whose text depends on the value alone: keys in order, no spaces. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    isObject(member) ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1))) : member,
  );
}
