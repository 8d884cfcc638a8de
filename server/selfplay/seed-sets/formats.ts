// Owns what a row of each known file of seeds looks like, and the rules under which its authors' data were used.
// One reader a format; files, rows and their numbers are read-seed-set.ts's.
import { RowError, type RowReader, type RowResult, type SeedFormat } from "./seed-set.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Tasks whose Dolly rows say what they are: their instruction alone would not tell. */
const namedTasks: ReadonlySet<string> = new Set(["closed_qa", "summarization", "information_extraction"]);

export const rowReaders: Readonly<Record<SeedFormat, RowReader>> = {
  plain: readPlain,
  dolly: readDolly,
  wizardlm: readWizardlm,
  "self-instruct": readSelfInstruct,
  sharegpt: readSharegpt,
};

/** A line of text, or `{prompt, answer?, id?, category?}`. */
function readPlain(row: unknown): RowResult {
  if (typeof row === "string") return item({ id: null, category: null, prompt: row, answer: null });
  const fields = toFields(row);
  return item({
    id: optionalText(fields, "id"),
    category: optionalText(fields, "category"),
    prompt: text(fields, "prompt"),
    answer: optionalText(fields, "answer"),
  });
}

/** `{instruction, context, category}`; answers are written anew, so `response` is not looked at. */
function readDolly(row: unknown): RowResult {
  const fields = toFields(row);
  const instruction = text(fields, "instruction");
  const context = optionalText(fields, "context") ?? "";
  const category = text(fields, "category");
  const name = namedTasks.has(category) ? `This is a ${category.replaceAll("_", " ")} task.` : "";
  const prompt = [name, instruction, context].filter((part) => part.trim() !== "").join("\n");
  return item({ id: optionalText(fields, "id"), category, prompt, answer: null });
}

/** Evol-Instruct's conversations of one question and one answer, or its `{Instruction}` test rows. */
function readWizardlm(row: unknown): RowResult {
  const fields = toFields(row);
  if ("Instruction" in fields || "instruction" in fields) {
    const prompt = text(fields, "Instruction" in fields ? "Instruction" : "instruction");
    const answer = optionalText(fields, "output");
    return item({ id: idOf(fields, "idx"), category: optionalText(fields, "Skill"), prompt, answer });
  }
  const id = idOf(fields, "idx") ?? idOf(fields, "id");
  if (id?.startsWith("alpaca_") === true) return { type: "dropped", reason: "alpaca" };
  const utterances = toUtterances(fields);
  const [question, answer] = utterances;
  if (question === undefined || answer === undefined || utterances.length !== 2) {
    return { type: "dropped", reason: "not_two_utterances" };
  }
  return item({ id, category: null, prompt: question.value, answer: answer.value });
}

/** `{id, name, instruction, instances: [{input, output}]}`: the first instance. */
function readSelfInstruct(row: unknown): RowResult {
  const fields = toFields(row);
  const { instances } = fields;
  const [first] = Array.isArray(instances) ? (instances as unknown[]) : [];
  if (first === undefined) throw new RowError("'instances' must be an array with at least one instance.");
  const instance = toFields(first, "instances[0]");
  const input = optionalText(instance, "input", "instances[0].") ?? "";
  const prompt = [text(fields, "instruction"), input].filter((part) => part.trim() !== "").join("\n");
  const answer = text(instance, "output", "instances[0].");
  const isClassification = fields["is_classification"];
  const category = typeof isClassification === "boolean" ? (isClassification ? "classification" : "generation") : null;
  return item({ id: optionalText(fields, "id"), category, prompt, answer });
}

/** `{id, conversations: [{from, value}]}`: the first round of every conversation's first segment. */
function readSharegpt(row: unknown): RowResult {
  const fields = toFields(row);
  const id = idOf(fields, "id");
  const segment = /_(\d+)$/.exec(id ?? "")?.[1];
  if (segment !== undefined && Number(segment) !== 0) return { type: "dropped", reason: "later_segment" };
  const turns = toUtterances(fields).filter(({ role }) => role !== "system");
  const [question, answer] = turns;
  if (question === undefined || answer === undefined) return { type: "dropped", reason: "not_two_utterances" };
  if (question.role !== "user") return { type: "dropped", reason: "opens_with_assistant" };
  // Two messages of the human in a row are not a round.
  if (answer.role !== "assistant") return { type: "dropped", reason: "not_two_utterances" };
  return item({ id, category: null, prompt: question.value, answer: answer.value });
}

type Seed = Extract<RowResult, { type: "item" }>["item"];

function item(seed: Seed): RowResult {
  const isEmpty = seed.prompt.trim() === "" || seed.answer?.trim() === "";
  return isEmpty ? { type: "dropped", reason: "empty" } : { type: "item", item: seed };
}

interface Utterance {
  readonly role: "user" | "assistant" | "system";
  readonly value: string;
}

const speakers: Readonly<Record<string, Utterance["role"]>> = {
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  chatgpt: "assistant",
  bing: "assistant",
  bard: "assistant",
  system: "system",
};

function toUtterances({ conversations }: Fields): readonly Utterance[] {
  if (!Array.isArray(conversations)) throw new RowError("'conversations' must be an array.");
  return conversations.map((entry: unknown, index) => {
    const place = `conversations[${index}]`;
    const fields = toFields(entry, place);
    const from = text(fields, "from", `${place}.`);
    const role = speakers[from];
    if (role === undefined)
      throw new RowError(`'${place}.from' is '${from.slice(0, 50)}', which is no speaker's name.`);
    return { role, value: text(fields, "value", `${place}.`) };
  });
}

function toFields(value: unknown, place: string | null = null): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new RowError(place === null ? "must be a JSON object." : `'${place}' must be an object.`);
}

function text(fields: Fields, name: string, place = ""): string {
  const value = fields[name];
  if (typeof value !== "string") {
    throw new RowError(value === undefined ? `'${place}${name}' is missing.` : `'${place}${name}' must be a string.`);
  }
  if (!value.isWellFormed()) throw new RowError(`'${place}${name}' holds an unpaired surrogate.`);
  return value;
}

function optionalText(fields: Fields, name: string, place = ""): string | null {
  const value = fields[name];
  return value === undefined || value === null ? null : text(fields, name, place);
}

/** Ids are numbers in some files. */
function idOf(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === "number" ? String(value) : optionalText(fields, name);
}
