import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { needsReference, readQuestionSet, temperatureOf } from "../../../training/evaluate/question-set.ts";

describe("the question sets that come with this", () => {
  it.each([
    ["mt-bench", 2, 8, 30],
    ["vicuna-bench", 1, 9, 10],
  ])("%s has 80 questions of %d turns in %d categories, and a reference wherever one is needed", async (...row) => {
    const [bench, turns, categories, withReference] = row;
    const { questions, references } = await readQuestionSet(bench, null);
    expect(questions).toHaveLength(80);
    expect(questions.every((question) => question.turns.length === turns)).toBe(true);
    expect(new Set(questions.map(({ category }) => category)).size).toBe(categories);
    const needed = questions.filter(({ category }) => needsReference(category));
    expect(needed).toHaveLength(withReference);
    for (const { question_id: id } of needed) expect(references.get(id)).toHaveLength(turns);
  });

  it.each([
    ["writing", 0.7],
    ["roleplay", 0.7],
    ["stem", 0.1],
    ["humanities", 0.1],
    ["extraction", 0],
    ["math", 0],
    ["coding", 0],
    ["reasoning", 0],
    ["fermi", 0.7],
  ])("%s questions are answered at temperature %d", (category, temperature) => {
    expect(temperatureOf({ question_id: 1, category, turns: ["?"] })).toBe(temperature);
    expect(temperatureOf({ question_id: 1, category, turns: ["?"], required_temperature: 0.3 })).toBe(0.3);
  });
});

it("a file of questions is refused with file, line and field, or for an id that is there twice", async () => {
  const folder = await mkdtemp(join(tmpdir(), "questions-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "mine.jsonl");
  const question = { question_id: 1, category: "math", turns: ["1+1?"] };
  await writeFile(path, `${JSON.stringify(question)}\n\n${JSON.stringify({ ...question, turns: [] })}\n`);
  await expect(readQuestionSet(path, null)).rejects.toThrow(`${path}, line 3: field turns: `);
  await writeFile(path, `${JSON.stringify(question)}\n${JSON.stringify(question)}\n`);
  await expect(readQuestionSet(path, null)).rejects.toThrow(`${path}: question_id 1 is there twice.`);
  await expect(readQuestionSet("no-bench", null)).rejects.toThrow("There is no bench no-bench: it must be mt-bench");
});
