// Owns looking into a parsed row: fields of the right type, or a RowError that names the field. It knows no format.
import { RowError } from "./source-error.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function toFields(value: unknown, place: string | null = null): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new RowError(place === null ? "must be a JSON object." : `'${place}' must be an object.`);
}

export function textOf(fields: Fields, name: string, place = ""): string {
  const value = fields[name];
  if (typeof value !== "string") {
    throw new RowError(value === undefined ? `'${place}${name}' is missing.` : `'${place}${name}' must be a string.`);
  }
  return wellFormed(value, `${place}${name}`);
}

export function optionalText(fields: Fields, name: string, place = ""): string | null {
  const value = fields[name];
  return value === undefined || value === null ? null : textOf(fields, name, place);
}

/** Ids are numbers in some files. */
export function idOf(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === "number" ? String(value) : optionalText(fields, name);
}

export function listOf(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (Array.isArray(value)) return value as unknown[];
  throw new RowError(value === undefined ? `'${name}' is missing.` : `'${name}' must be an array.`);
}

export function wellFormed(text: string, place: string): string {
  if (text.isWellFormed()) return text;
  throw new RowError(`'${place}' holds an unpaired surrogate.`);
}
