// Owns which tables of the documentation are printed from the code, and into which files they go.
// It does not know how the tables come to be.
import { configTable } from "../../server/config-help.ts";
import { metricsTable } from "../../server/metrics-table.ts";
import { exportFormatsTable } from "./export-formats.ts";
import { endpointsTable } from "./endpoints.ts";
import { engineErrorsTable, requestErrorsTable } from "./errors.ts";
import { chatFieldsTable, loopFieldsTable, selfplayFieldsTable, tuningFieldsTable } from "./fields.ts";
import { replaceTable } from "./markdown.ts";
import { finishReasonsTable, stopReasonsTable } from "./stop-reasons.ts";

type Tables = Readonly<Record<string, () => string | Promise<string>>>;

/** File (from the repository's root) → name of the table → what prints it. */
export const documents: Readonly<Record<string, Tables>> = {
  "README.md": {
    endpoints: endpointsTable,
    configuration: configTable,
    metrics: metricsTable,
    "stop reasons": stopReasonsTable,
  },
  "docs/api.md": {
    "chat fields": chatFieldsTable,
    "finish reasons": finishReasonsTable,
    "self-play fields": selfplayFieldsTable,
  },
  "docs/fine-tuning.md": {
    "fine-tuning fields": tuningFieldsTable,
  },
  "docs/loop.md": {
    "loop fields": loopFieldsTable,
  },
  "docs/exports.md": {
    "export formats": exportFormatsTable,
  },
  "docs/errors.md": {
    "request errors": requestErrorsTable,
    "engine errors": engineErrorsTable,
  },
};

/** The file's text with every one of its tables as the code has it now. */
export async function withTables(file: string, text: string): Promise<string> {
  let filled = text;
  for (const [name, print] of Object.entries(documents[file] ?? {})) filled = replaceTable(filled, name, await print());
  return filled;
}
