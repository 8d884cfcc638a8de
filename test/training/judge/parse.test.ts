// Reading judges: what they are known to say is read, what could mean two things is not.
import { expect, test } from "vitest";
import { parsePick, parseScores, parseVerdict } from "../../../training/judge/parse.ts";
import { promptHash, rubricCriteria, scoreInstruction } from "../../../training/judge/prompts.ts";
import { renderSession } from "../../../training/judge/render.ts";

const three = rubricCriteria["paper-3"];

test.each([
  ['{"complexity": 8, "relevancy": 9, "logicality": 10}', [8, 9, 10]],
  ['```json\n{"Complexity": 8,\n "Relevancy": 9,\n "Logicality": 10}\n```', [8, 9, 10]],
  ["Complexity: 8/10\nRelevancy: 9/10\nLogicality: 10/10", [8, 9, 10]],
  ["**Complexity**: 8, **Relevancy**: 9, **Logicality**: 1", [8, 9, 1]],
  ["{'complexity': '8', 'relevancy': '9', 'logicality': '7'}", [8, 9, 7]],
  ["complexity = 8; relevancy = 9; logicality = 7. So complexity: 8.", [8, 9, 7]],
  ['{"complexity": 8, "relevancy": 9}', null],
  ['{"complexity": 0, "relevancy": 9, "logicality": 7}', null],
  ['{"complexity": 11, "relevancy": 9, "logicality": 7}', null],
  ['{"complexity": 8.5, "relevancy": 9, "logicality": 7}', null],
  ['{"complexity": -8, "relevancy": 9, "logicality": 7}', null],
  ['{"complexity": 8, "relevancy": 9, "logicality": 7, "complexity": 3}', null],
  ["I would say it is good.", null],
  ["", null],
])("scores in %j are %j", (reply, expected) => {
  const scores = parseScores(reply, three);
  expect(scores === null ? null : three.map((name) => scores[name])).toEqual(expected);
});

test.each([
  ["[[2]]", 1],
  ["Answer 1 is short, but the best is [[3]].", 2],
  ["[2]", 1],
  ["2", 1],
  ["2.", 1],
  ["The best answer is 3", 2],
  ["<think>1 or 2?</think>\n2", 1],
  ["[[2]] or [[3]]", null],
  ["1 and 2", null],
  ["[[0]]", null],
  ["[[4]]", null],
  ["none", null],
])("of three, %j picks %j", (reply, expected) => {
  expect(parsePick(reply, 3)).toBe(expected);
});

test.each([
  ["[[stop]]", "stop"],
  ["They could continue, but: [[Stop]]", "stop"],
  ["Continue.", "continue"],
  ["<think>stop?</think> continue", "continue"],
  ["stop or continue", null],
  ["yes", null],
])("%j is the verdict %j", (reply, expected) => {
  expect(parseVerdict(reply)).toBe(expected);
});

test("a session is shown with the published marks", () => {
  const turns = [
    { role: "user", content: "Why?" },
    { role: "assistant", content: "So." },
  ] as const;
  expect(renderSession(turns)).toBe(
    "#[Start of multi-round conversation]#\n\n#[Human's question]#\nWhy?\n\n#[Assistant's answer]#\nSo.\n\n#[End of multi-round conversation]#",
  );
});

test("each rubric is another prompt, and names every mark that is read back", () => {
  const [paper, repository] = (["paper-3", "repository-4"] as const).map(scoreInstruction);
  expect(promptHash(paper ?? "")).not.toBe(promptHash(repository ?? ""));
  for (const name of rubricCriteria["repository-4"]) expect(repository).toContain(`"${name}"`);
  expect(paper).not.toContain("diversity");
});
