// Reads JSON files of a checkpoint and picks typed fields out of them.
// Every failure is a sentence that names the file and the field. It knows no particular file.
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { EngineError } from "../errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses text that must be one JSON object; `file` is for the message. */
export function parseJsonObject(text: string, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badModel(file, `not valid JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!isObject(value)) throw badModel(file, "must hold a JSON object");
  return value;
}

/** Reads a file that must exist. */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const value = await readOptionalJsonObject(path);
  if (value === null) throw badModel(basename(path), `missing from ${dirname(path)}`);
  return value;
}

/** Null when there is no such file. */
export async function readOptionalJsonObject(path: string): Promise<JsonObject | null> {
  const text = await readOptionalText(path);
  return text === null ? null : parseJsonObject(text, basename(path));
}

/** Null when there is no such file. */
export async function readOptionalText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Picks fields of one object; a missing or null field is the default, or an error when there is none. */
export class FieldReader {
  readonly #object: JsonObject;
  readonly #file: string;
  readonly #path: string;

  constructor(object: JsonObject, file: string, path = "") {
    this.#object = object;
    this.#file = file;
    this.#path = path;
  }

  has(field: string): boolean {
    return this.#object[field] !== undefined && this.#object[field] !== null;
  }

  raw(field: string): unknown {
    return this.#object[field];
  }

  positiveInt(field: string, fallback?: number): number {
    const value = this.#get(field, fallback);
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
    throw this.error(field, `must be a positive integer, found ${show(value)}`);
  }

  positive(field: string, fallback?: number): number {
    const value = this.#get(field, fallback);
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw this.error(field, `must be a positive number, found ${show(value)}`);
  }

  boolean(field: string, fallback?: boolean): boolean {
    const value = this.#get(field, fallback);
    if (typeof value === "boolean") return value;
    throw this.error(field, `must be true or false, found ${show(value)}`);
  }

  string(field: string, fallback?: string): string {
    const value = this.#get(field, fallback);
    if (typeof value === "string") return value;
    throw this.error(field, `must be a string, found ${show(value)}`);
  }

  /** A nested object, or null when the field is missing or null. */
  object(field: string): FieldReader | null {
    if (!this.has(field)) return null;
    const value = this.#object[field];
    if (!isObject(value)) throw this.error(field, `must be an object, found ${show(value)}`);
    return new FieldReader(value, this.#file, `${this.#path}${field}.`);
  }

  error(field: string, sentence: string): EngineError {
    return badModel(this.#file, `field ${this.#path}${field} ${sentence}`);
  }

  #get(field: string, fallback: unknown): unknown {
    if (this.has(field)) return this.#object[field];
    if (fallback === undefined) throw this.error(field, "is missing");
    return fallback;
  }
}

/** The error for a broken file of a checkpoint. */
export function badModel(file: string, sentence: string): EngineError {
  return new EngineError("bad_model", `${file}: ${sentence}`);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
