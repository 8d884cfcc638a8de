// Owns who says what in lists of messages: the names that speakers go by, and leading system messages.
// It knows the two shapes of a message, {from, value} and {role, content}; not what is around the list.
import type { ModelRole } from "../../runtime/chat-model.ts";
import type { Conversation, Utterance } from "../conversation.ts";
import { type Fields, textOf, toFields, wellFormed } from "./fields.ts";
import { noSystem } from "./row-reader.ts";
import { RowError } from "./source-error.ts";

type Speaker = ModelRole | "system";

const speakers: ReadonlyMap<string, Speaker> = new Map([
  ["human", "user"],
  ["user", "user"],
  ["prompter", "user"],
  ["gpt", "assistant"],
  ["assistant", "assistant"],
  ["chatgpt", "assistant"],
  ["bing", "assistant"],
  ["bard", "assistant"],
  ["system", "system"],
  ["developer", "system"],
]);

interface Spoken {
  readonly system: Conversation["system"];
  readonly utterances: readonly Utterance[];
}

/** The side that goes by this name. Throws RowError for a name that nobody has. */
export function speakerOf(name: string, place: string): Speaker {
  const speaker = speakers.get(name);
  if (speaker === undefined) throw new RowError(`'${place}' is '${name.slice(0, 50)}', which is no speaker's name.`);
  return speaker;
}

/** ShareGPT's `{from, value}`. */
export function readFromValue(messages: readonly unknown[], name: string): Spoken {
  return readMessages(messages, name, (fields, place) => ({
    role: speakerOf(textOf(fields, "from", place), `${place}from`),
    content: textOf(fields, "value", place),
  }));
}

/** OpenAI's `{role, content}`; an assistant's message of weight 0 is only context. */
export function readRoleContent(messages: readonly unknown[], name: string): Spoken {
  return readMessages(messages, name, (fields, place) => ({
    role: speakerOf(textOf(fields, "role", place), `${place}role`),
    content: contentOf(fields, place),
    ...(fields["weight"] === 0 ? { isContext: true } : {}),
  }));
}

function readMessages(
  messages: readonly unknown[],
  name: string,
  read: (fields: Fields, place: string) => Omit<Utterance, "role"> & { readonly role: Speaker },
): Spoken {
  const system: string[] = [];
  const utterances: Utterance[] = [];
  for (const [index, message] of messages.entries()) {
    const place = `${name}[${index}]`;
    const { role, ...utterance } = read(toFields(message, place), `${place}.`);
    if (role !== "system") utterances.push({ role, ...utterance });
    else if (utterances.length === 0) system.push(utterance.content);
    else throw new RowError(`'${place}' is a system message that comes after the first turn.`);
  }
  return { utterances, system: system.length === 0 ? noSystem : { user: null, assistant: system.join("\n") } };
}

/** Text, or a list of parts that are all text. */
function contentOf(fields: Fields, place: string): string {
  const { content } = fields;
  if (!Array.isArray(content)) return textOf(fields, "content", place);
  const texts = content.map((value: unknown, index) => {
    const part = toFields(value, `${place}content[${index}]`);
    if (part["type"] === "text") return textOf(part, "text", `${place}content[${index}].`);
    throw new RowError(`'${place}content[${index}]' is no text.`);
  });
  return wellFormed(texts.join(""), `${place}content`);
}
