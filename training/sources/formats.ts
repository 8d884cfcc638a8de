// Owns which formats there are and how a row gives away which one it is. What a row means is its format's own file's.
import type { Fields } from "./fields.ts";
import { readDolly, readSelfInstruct, readWizardlm } from "./instruction-formats.ts";
import { readOpenai, readSharegpt, readUltrachat } from "./message-formats.ts";
import { readOasstMessages, readOasstTree } from "./oasst.ts";
import type { RowReader } from "./row-reader.ts";
import { readSelfplayRecord } from "./selfplay-record.ts";

export const FORMATS = [
  "sharegpt",
  "openai",
  "platolm",
  "ultrachat",
  "dolly",
  "wizardlm",
  "self-instruct",
  "oasst",
  "oasst-messages",
  "selfplay",
] as const;

export type Format = (typeof FORMATS)[number];

/** `oasst-messages` has several rows for one tree, which its reader wants as one list. */
export const rowReaders: Readonly<Record<Format, RowReader>> = {
  sharegpt: readSharegpt,
  openai: readOpenai,
  platolm: readSharegpt,
  ultrachat: readUltrachat,
  dolly: readDolly,
  wizardlm: readWizardlm,
  "self-instruct": readSelfInstruct,
  oasst: readOasstTree,
  "oasst-messages": (rows) => readOasstMessages(rows as readonly unknown[]),
  selfplay: readSelfplayRecord,
};

/** The format that a row's fields speak for, or null. */
export function detectFormat(fields: Fields): Format | null {
  const has = (...names: readonly string[]) => names.every((name) => name in fields);
  if (fields["object"] === "selfplay.dialogue") return "selfplay";
  if (has("message_tree_id", "prompt")) return "oasst";
  if (has("message_id", "text", "role")) return "oasst-messages";
  if (has("conversations")) {
    if (has("session_id") || has("num_of_rounds")) return "platolm";
    return has("idx") ? "wizardlm" : "sharegpt";
  }
  if (has("messages")) return "openai";
  if (has("data")) return "ultrachat";
  if (has("instruction", "instances")) return "self-instruct";
  if (has("instruction", "response", "category")) return "dolly";
  if (has("instruction", "output") || has("Instruction")) return "wizardlm";
  return null;
}
