// Owns what judges are told, word for word: a change here is another judge, so every record carries the hash of what was said.
// It does not know how they are asked, nor how what they say is read.
import { createHash } from "node:crypto";

/** A set of marks for the questions of a session. */
export type Rubric = "paper-3" | "repository-4";

const criteria = {
  complexity:
    "Complexity: the human's questions are informative, and each goes somewhat deeper than those of the round before.",
  relevancy:
    "Relevancy: the human's questions bear on what was said above, most of all on the assistant's previous answer.",
  logicality: "Logicality: what the human's questions take from the context follows from it.",
  diversity:
    "Diversity: over the conversation the human's questions stay with a topic, move on to a related one, or change it, as people do.",
} as const;

export type Criterion = keyof typeof criteria;

/** The marks that a rubric asks for. */
export const rubricCriteria: Readonly<Record<Rubric, readonly Criterion[]>> = {
  "paper-3": ["complexity", "relevancy", "logicality"],
  "repository-4": ["complexity", "relevancy", "logicality", "diversity"],
};

/** Asks for marks of a whole session; the session follows. */
export function scoreInstruction(rubric: Rubric): string {
  const names = rubricCriteria[rubric];
  const shape = names.map((name) => `"${name}": <1-10>`).join(", ");
  return [
    "You check carefully how good the human's questions are in a conversation of several rounds between a human and an assistant.",
    "Look at the questions alone; the answers are context. Judge the conversation as a whole by these criteria, each with a whole",
    "number from 1 (worst) to 10 (best):",
    ...names.map((name) => `- ${criteria[name]}`),
    `Reply with JSON and nothing else: {${shape}}`,
  ].join("\n");
}

/** Asks which of `count` answers is best; conversation and answers follow. */
export function pickInstruction(count: number): string {
  return [
    `You compare ${count} answers that an assistant could give at the end of a conversation.`,
    "Choose the one that helps the human most: correct, to the point, complete, clear, and harmless. Neither the order of the answers nor",
    "their length counts.",
    `Reply with the number of the best answer, from 1 to ${count}, in double square brackets and nothing else, such as [[1]].`,
  ].join("\n");
}

/** Asks whether a conversation has run its course; it follows. */
export const stopInstruction = [
  "You decide whether a conversation between a human and an assistant has run its course.",
  "It has when the human's need is met, when they say goodbye, or when they go round in circles. It has not when a person would plainly ask on.",
  "Reply with [[stop]] or [[continue]] and nothing else.",
].join("\n");

/** SHA-256 of an instruction. */
export function promptHash(instruction: string): string {
  return createHash("sha256").update(instruction).digest("hex");
}
