// Owns the formats whose rows are lists of messages: ShareGPT and its kin, OpenAI's, PlatoLM's own, UltraChat's.
// It decides what groups such rows: sessions, trees, workers. It knows no file.
import type { Utterance } from "../conversation.ts";
import { type Fields, idOf, listOf, toFields, wellFormed } from "./fields.ts";
import { conversationOf, type RowConversation, type RowReader } from "./row-reader.ts";
import { RowError } from "./source-error.ts";
import { readFromValue, readRoleContent } from "./speakers.ts";

/** Fields that name what several rows have in common, the strongest first. */
const groupFields = ["session_id", "group", "tree", "worker"] as const;
/** Kept as provenance where a row has them. */
const toldFields = ["source", "domain", "split", "scenario"] as const;
/** A segment of a ShareGPT session: the link's seven characters, and where it starts. */
const segmentId = /^([A-Za-z0-9]{7})_\d+$/;

/** `{id, conversations: [{from, value}]}`, also with `session_id`, `source`, `tree` or `worker`. */
export const readSharegpt: RowReader = (row) => {
  const fields = toFields(row);
  const spoken = readFromValue(listOf(fields, "conversations"), "conversations");
  return conversationOf({ ...headOf(fields), ...notEmpty(spoken, "conversations") });
};

/** The same, where Evol-Instruct's rule leaves out what came from Alpaca. */
export const readEvolConversations: RowReader = (row) => {
  const fields = toFields(row);
  const id = idOf(fields, "idx") ?? idOf(fields, "id");
  if (id?.startsWith("alpaca_") === true) return [{ type: "dropped", rule: "alpaca" }];
  const spoken = readFromValue(listOf(fields, "conversations"), "conversations");
  return conversationOf({ ...headOf(fields), id, ...notEmpty(spoken, "conversations") });
};

/** `{messages: [{role, content}]}`. */
export const readOpenai: RowReader = (row) => {
  const fields = toFields(row);
  const spoken = readRoleContent(listOf(fields, "messages"), "messages");
  return conversationOf({ ...headOf(fields), ...notEmpty(spoken, "messages") });
};

/** `{id, data: ["question", "answer", …]}`; the newer files have messages. */
export const readUltrachat: RowReader = (row) => {
  const fields = toFields(row);
  if ("messages" in fields) return readOpenai(row);
  const utterances = listOf(fields, "data").map((value, index): Utterance => {
    if (typeof value !== "string") throw new RowError(`'data[${index}]' must be a string.`);
    return { role: index % 2 === 0 ? "user" : "assistant", content: wellFormed(value, `data[${index}]`) };
  });
  return conversationOf({ ...headOf(fields), ...notEmpty({ utterances }, "data") });
};

function headOf(fields: Fields): Pick<RowConversation, "id" | "group" | "isComplete" | "provenance"> {
  const id = idOf(fields, "id") ?? idOf(fields, "session_id") ?? idOf(fields, "prompt_id");
  const group = groupFields.map((name) => idOf(fields, name)).find((value) => value !== null);
  const told = toldFields.flatMap((name) => (name in fields ? [[name, fields[name]]] : []));
  return {
    id,
    group: group ?? segmentId.exec(id ?? "")?.[1] ?? null,
    isComplete: fields["is_complete"] === true,
    provenance: Object.fromEntries(told) as Record<string, unknown>,
  };
}

function notEmpty<T extends Pick<RowConversation, "utterances">>(spoken: T, name: string): T {
  if (spoken.utterances.length === 0) throw new RowError(`'${name}' holds no turn of either side.`);
  return spoken;
}
