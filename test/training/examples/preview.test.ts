import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Example, makeExample } from "../../../training/examples/example.ts";
import { type ModelText, openModelText } from "../../../training/examples/model-text.ts";
import { renderExample } from "../../../training/examples/preview.ts";
import { conversation } from "../../support/conversations.ts";
import { writeModelFolder } from "../../support/model-folder.ts";

let scratch = "";
let model: ModelText;
let example: Example;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "preview-"));
  model = await openModelText(await writeModelFolder(join(scratch, "model")));
  const options = { role: "user", maxTokens: 99, isLearningEnd: true } as const;
  const given = conversation(["a\u001b[1m<|user|>", "b"]);
  const result = await makeExample(given, model, options, new AbortController().signal);
  if (result.kind !== "example") throw new Error("There is no example.");
  ({ example } = result);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

it("brackets stand around what is trained where there are no colours, and nothing typed moves the cursor", () => {
  expect(renderExample(example, model.tokenizer, null, false)).toBe(
    "<|begin|><|user|>[[a␛[1m<|user|><|end|>]]\n<|assistant|>b<|end|>\n<|user|>[[<|bye|>]]",
  );
});

it("every run has the colour of what it is, and its ids on request", () => {
  const painted = renderExample(example, model.tokenizer, (style, text) => `${style}(${text})`, true);
  expect(painted.split("\n")[1]).toBe("control(<|assistant|>{3})context(b{104})control(<|end|>{4})");
  expect(painted).toContain("trainedControl(<|bye|>{5})");
  // Typed text that looks like a control token is ordinary text.
  expect(painted).toMatch(/trained\(a␛\[1m<\|user\|>\{[\d ]+\}\)/);
});
