// Owns the formats whose rows are one instruction and one answer: Dolly, Evol-Instruct, Self-Instruct's seeds.
// It knows the rules under which their authors' data were used, and no file.
import type { Utterance } from "../conversation.ts";
import { idOf, listOf, optionalText, textOf, toFields } from "./fields.ts";
import { readEvolConversations } from "./message-formats.ts";
import { conversationOf, type RowReader } from "./row-reader.ts";
import { RowError } from "./source-error.ts";

/** Tasks whose Dolly rows say what they are: their instruction alone would not tell. */
const namedTasks: ReadonlySet<string> = new Set(["closed_qa", "summarization", "information_extraction"]);

/** `{instruction, context, response, category}`. */
export const readDolly: RowReader = (row) => {
  const fields = toFields(row);
  const category = textOf(fields, "category");
  const name = namedTasks.has(category) ? `This is a ${category.replaceAll("_", " ")} task.` : "";
  const prompt = joined(name, textOf(fields, "instruction"), optionalText(fields, "context"));
  const utterances = round(prompt, textOf(fields, "response"));
  return conversationOf({ id: idOf(fields, "id"), utterances, provenance: { category } });
};

/** Evol-Instruct: conversations, `{instruction, output}`, or the test set's `{Instruction}` alone. */
export const readWizardlm: RowReader = (row) => {
  const fields = toFields(row);
  if ("conversations" in fields) return readEvolConversations(row);
  const id = idOf(fields, "idx") ?? idOf(fields, "id");
  if (id?.startsWith("alpaca_") === true) return [{ type: "dropped", rule: "alpaca" }];
  const instruction = textOf(fields, "Instruction" in fields ? "Instruction" : "instruction");
  const prompt = joined(instruction, optionalText(fields, "input"));
  const skill = optionalText(fields, "Skill");
  return conversationOf({
    id,
    utterances: round(prompt, optionalText(fields, "output")),
    provenance: skill === null ? {} : { skill },
  });
};

/** `{id, name, instruction, instances: [{input, output}]}`: the first instance. */
export const readSelfInstruct: RowReader = (row) => {
  const fields = toFields(row);
  const [first] = listOf(fields, "instances");
  if (first === undefined) throw new RowError("'instances' must hold at least one instance.");
  const instance = toFields(first, "instances[0]");
  const prompt = joined(textOf(fields, "instruction"), optionalText(instance, "input", "instances[0]."));
  const utterances = round(prompt, textOf(instance, "output", "instances[0]."));
  const name = optionalText(fields, "name");
  return conversationOf({ id: idOf(fields, "id"), utterances, provenance: name === null ? {} : { task: name } });
};

function joined(...parts: readonly (string | null)[]): string {
  return parts.filter((part) => part !== null && part.trim() !== "").join("\n");
}

function round(question: string, answer: string | null): readonly Utterance[] {
  const asked: Utterance = { role: "user", content: question };
  return answer === null ? [asked] : [asked, { role: "assistant", content: answer }];
}
