// Owns the chat templates that stand beside exports: the model's own with marks of what is trained, and the one that serves a
// model whose roles were swapped in training. It reads templates by what they write, not by their source.
import type { ModelRole } from "../../runtime/chat-model.ts";
import type { ModelText } from "../examples/model-text.ts";
import { opener } from "./turns.ts";

interface Frame {
  readonly before: string;
  /** Directly behind the words, the token that ends the turn included; empty where there is none. */
  readonly end: string;
  readonly after: string;
}

/** A template that writes every turn between two constant strings. */
export interface TemplateShape {
  readonly begin: string;
  /** null where the template refuses or drops system messages. */
  readonly system: Frame | null;
  readonly user: Frame;
  readonly assistant: Frame;
  readonly open: string;
}

const chatmlFrame = (role: string): Frame => ({ before: `<|im_start|>${role}\n`, end: "<|im_end|>", after: "\n" });

/** ChatML whose generation prompt opens that role's turn. */
export const chatmlShape = (role: ModelRole): TemplateShape => ({
  begin: "",
  system: chatmlFrame("system"),
  user: chatmlFrame("user"),
  assistant: chatmlFrame("assistant"),
  open: `<|im_start|>${role}\n`,
});

const words = ["probe one", "probe two", "probe three"] as const;

/** Finds the shape by probing; null for a template that has none, such as one that treats a turn by its place. */
export function shapeOf(model: ModelText, role: ModelRole): TemplateShape | null {
  try {
    return checked(probe(model, role), model);
  } catch {
    return null;
  }
}

function probe({ template, stopIds, tokenizer }: ModelText, role: ModelRole): TemplateShape {
  const [one, two, three] = words;
  const said = [
    { role: "user", content: one },
    { role: "assistant", content: two },
    { role: "user", content: three },
  ] as const;
  const [first, second, third] = [1, 2, 3].map((count) => template.renderText(said.slice(0, count), false)) as [
    string,
    string,
    string,
  ];
  const userSuffix = after(first, one);
  const userPrefix = cut(before(third, three), second);
  const begin = withoutEnd(before(first, one), userPrefix);
  const assistantPrefix = cut(before(second, two), first);
  const ends = stopIds.flatMap((id) => tokenizer.tokenOf(id) ?? []);
  const frame = (prefix: string, suffix: string): Frame => {
    const end = ends.find((token) => suffix.startsWith(token)) ?? "";
    return { before: prefix, end, after: suffix.slice(end.length) };
  };
  const user = frame(userPrefix, userSuffix);
  const assistant = frame(assistantPrefix, after(second, two));
  const system = probeSystem(template, begin, userPrefix);
  const past = template.renderText(role === "user" ? said.slice(0, 2) : said.slice(0, 1), true);
  const own = role === "user" ? user : assistant;
  const opened = cut(past, role === "user" ? second : first);
  // The generation prompt of a model of the other role opens the other turn: then what stands before the words does.
  return { begin, system, user, assistant, open: own.before.startsWith(opened) ? opened : own.before };
}

function probeSystem(template: ModelText["template"], begin: string, userPrefix: string): Frame | null {
  const [one, two] = words;
  const told = [
    { role: "system", content: one },
    { role: "user", content: two },
  ] as const;
  try {
    const text = template.renderText(told, false);
    const between = withoutEnd(cut(before(text, two), before(text, one) + one), userPrefix);
    return { before: cut(before(text, one), begin), end: "", after: between };
  } catch {
    return null;
  }
}

/** The shape must write what the template writes. Throws where it does not. */
function checked(shape: TemplateShape, { template }: ModelText): TemplateShape {
  const system = shape.system === null ? [] : [{ role: "system", content: words[2] } as const];
  const talk = (["user", "assistant", "user", "assistant", "user"] as const).map((role, index) => {
    return { role, content: `probe ${index}` };
  });
  for (let count = 1; count <= talk.length; count++) {
    for (const first of [[], system]) {
      const messages = [...first, ...talk.slice(0, count)];
      const written = messages.map(({ role, content }) => {
        const { before: head, end, after: tail } = shape[role] as Frame;
        return head + content + end + tail;
      });
      if (shape.begin + written.join("") !== template.renderText(messages, false)) throw new Error("another shape");
    }
  }
  return shape;
}

function before(text: string, word: string): string {
  const at = text.indexOf(word);
  if (at === -1 || text.includes(word, at + 1)) throw new Error("not once");
  return text.slice(0, at);
}

const after = (text: string, word: string): string => text.slice(before(text, word).length + word.length);

function cut(text: string, start: string): string {
  if (!text.startsWith(start)) throw new Error("another start");
  return text.slice(start.length);
}

function withoutEnd(text: string, end: string): string {
  if (!text.endsWith(end)) throw new Error("another end");
  return text.slice(0, text.length - end.length);
}

/** The template with `{% generation %}` around what is trained: a role's words and the token that ends its turn. */
export function trainingTemplate(shape: TemplateShape, role: ModelRole): string {
  const turn = (name: "system" | "user" | "assistant", frame: Frame): string => {
    const said = `{{ m['content'] + ${literal(frame.end)} }}`;
    const marked = name === role ? `{% generation %}${said}{% endgeneration %}` : said;
    return `{{ ${literal(frame.before)} }}${marked}{{ ${literal(frame.after)} }}`;
  };
  const system = shape.system === null ? "" : `{% elif m['role'] == 'system' %}${turn("system", shape.system)}`;
  return (
    `{{ ${literal(shape.begin)} }}{% for m in messages %}{% if m['role'] == 'user' %}${turn("user", shape.user)}` +
    `{% elif m['role'] == 'assistant' %}${turn("assistant", shape.assistant)}${system}{% endif %}{% endfor %}` +
    `{% if add_generation_prompt %}{{ ${literal(shape.open)} }}{% endif %}`
  );
}

function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n")}'`;
}

/**
 * Goes in front of the chat template of a model that was trained with swapped roles: it then takes messages in their normal
 * roles, says the opener where the user speaks first, and opens the user's turn.
 */
export const swapTemplate =
  "{%- set flip = namespace(messages=[], talked=false) -%}" +
  "{%- for m in messages -%}" +
  "{%- if m['role'] == 'system' -%}{%- set flip.messages = flip.messages + [m] -%}" +
  "{%- else -%}" +
  "{%- if not flip.talked and m['role'] == 'user' -%}" +
  `{%- set flip.messages = flip.messages + [{'role': 'user', 'content': '${opener}'}] -%}` +
  "{%- endif -%}" +
  "{%- set flip.talked = true -%}" +
  "{%- set flip.messages = flip.messages + [{'role': 'assistant' if m['role'] == 'user' else 'user', 'content': m['content']}] -%}" +
  "{%- endif -%}" +
  "{%- endfor -%}" +
  `{%- if not flip.talked -%}{%- set flip.messages = flip.messages + [{'role': 'user', 'content': '${opener}'}] -%}{%- endif -%}` +
  "{%- set messages = flip.messages -%}\n";
