// Owns OpenAssistant's message trees: every way from the root to a leaf is a conversation, and the tree is their group.
// It reads trees that are nested and trees whose messages come one by one. It opens no file.
import type { Utterance } from "../conversation.ts";
import { type Fields, listOf, optionalText, textOf, toFields } from "./fields.ts";
import { conversationOf, type RowReader, type RowResult } from "./row-reader.ts";
import { RowError } from "./source-error.ts";
import { speakerOf } from "./speakers.ts";

interface Message {
  readonly id: string;
  readonly utterance: Utterance;
  readonly replies: readonly Message[];
  /** Deleted or refused in review: neither it nor what answers it is used. */
  readonly isWithdrawn: boolean;
}

/** `{message_tree_id, prompt: {message_id, role, text, replies: […]}}`. */
export const readOasstTree: RowReader = (row) => {
  const fields = toFields(row);
  const tree = textOf(fields, "message_tree_id");
  return threadsOf(tree, nested(toFields(fields["prompt"], "prompt"), "prompt"));
};

/** `{messages: [{message_id, parent_id, role, text}]}` or the same list as rows of their own, gathered by whoever calls. */
export function readOasstMessages(rows: readonly unknown[]): readonly RowResult[] {
  const all = rows.map((row) => toFields(row));
  const children = Map.groupBy(all, (fields) => optionalText(fields, "parent_id"));
  const ids = new Set(all.map((fields) => textOf(fields, "message_id")));
  const [root, ...others] = children.get(null) ?? [];
  if (root === undefined) throw new RowError("holds messages of a tree whose prompt is not among them.");
  if (others.length > 0) throw new RowError("holds two prompts of one tree.");
  for (const [parent] of children) {
    if (parent !== null && !ids.has(parent)) throw new RowError(`holds an answer to ${parent}, which is not there.`);
  }
  const build = (fields: Fields): Message => {
    const id = textOf(fields, "message_id");
    return messageOf(fields, (children.get(id) ?? []).map(build), "");
  };
  return threadsOf(optionalText(root, "message_tree_id") ?? textOf(root, "message_id"), build(root));
}

function nested(fields: Fields, place: string): Message {
  const replies = "replies" in fields ? listOf(fields, "replies") : [];
  const read = replies.map((reply, index) => {
    const name = `${place}.replies[${index}]`;
    return nested(toFields(reply, name), name);
  });
  return messageOf(fields, read, `${place}.`);
}

function messageOf(fields: Fields, replies: readonly Message[], place: string): Message {
  const role = speakerOf(textOf(fields, "role", place), `${place}role`);
  if (role === "system") throw new RowError(`'${place}role' is system, which trees do not have.`);
  const isWithdrawn = fields["deleted"] === true || fields["review_result"] === false;
  const id = textOf(fields, "message_id", place);
  return { id, utterance: { role, content: textOf(fields, "text", place) }, replies, isWithdrawn };
}

function threadsOf(tree: string, root: Message): readonly RowResult[] {
  const results: RowResult[] = [];
  // A thread is cut before a message that was withdrawn; where that is the only answer, what came before is the thread.
  const walk = (message: Message, before: readonly Utterance[]): void => {
    const utterances = [...before, message.utterance];
    const next = message.replies.filter(({ isWithdrawn }) => !isWithdrawn);
    for (let index = next.length; index < message.replies.length; index += 1) {
      results.push({ type: "dropped", rule: "withdrawn message" });
    }
    if (next.length === 0) results.push(...conversationOf({ id: message.id, group: tree, utterances }));
    for (const reply of next) walk(reply, utterances);
  };
  if (root.isWithdrawn) results.push({ type: "dropped", rule: "withdrawn message" });
  else walk(root, []);
  return results;
}
