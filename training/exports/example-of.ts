// Owns the one thing that formats of ids ask for: the example, which is there whenever a model was named.
import type { Example } from "../examples/example.ts";
import type { ExportRow } from "./format.ts";

/** Formats that need a model are never asked for a row without an example. */
export function exampleOf(row: ExportRow): Example {
  if (row.example === null) throw new Error("An export of token ids was asked for without a model.");
  return row.example;
}
