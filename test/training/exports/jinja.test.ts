import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatMessage } from "../../../runtime/chat-model.ts";
import { checkRole, createChatTemplate } from "../../../runtime/text/chat-template.ts";
import { type ModelText, openModelText } from "../../../training/examples/model-text.ts";
import { chatmlShape, shapeOf, swapTemplate, trainingTemplate } from "../../../training/exports/jinja.ts";
import { writeModelFolder } from "../../support/model-folder.ts";

let scratch = "";
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "jinja-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function modelWith(template: string, role: "user" | "assistant" = "user"): Promise<ModelText> {
  const folder = join(scratch, String(Math.random()));
  return openModelText(await writeModelFolder(folder, { role, files: { "chat_template.jinja": template } }));
}

const talk: readonly ChatMessage[] = [
  { role: "system", content: "It's a \\ test." },
  { role: "user", content: "a" },
  { role: "assistant", content: "b" },
  { role: "user", content: "c" },
];
const render = (source: string, messages: readonly ChatMessage[], add_generation_prompt: boolean) =>
  new Template(source).render({ messages, add_generation_prompt });

const plain =
  "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|user|>\n' }}{% endif %}";

describe("a template with marks", () => {
  it("writes what the model's own writes, with the words and their end between the marks", async () => {
    const model = await modelWith(plain);
    const shape = shapeOf(model, "user");
    if (shape === null) throw new Error("There is no shape.");
    const marked = trainingTemplate(shape, "user");
    const shown = marked.replaceAll("{% generation %}", "⟦").replaceAll("{% endgeneration %}", "⟧");
    for (const isOpen of [true, false]) {
      const text = render(shown, talk, isOpen);
      expect(text.replaceAll(/[⟦⟧]/g, "")).toBe(model.template.renderText(talk, isOpen));
      expect(text.match(/⟦[^⟧]*⟧/g)).toEqual(["⟦a<|end|>⟧", "⟦c<|end|>⟧"]);
    }
  });

  it("opens the trained role's turn also where the model serves the other", async () => {
    const shape = shapeOf(await modelWith(plain.replace("'<|user|>", "'<|assistant|>"), "assistant"), "user");
    expect(shape?.open).toBe("<|user|>\n");
  });

  it("is not made of a template that treats a turn by its place", async () => {
    const last = plain.replace("m['content']", "(m['content'] if loop.last else m['content'] + '~')");
    expect(shapeOf(await modelWith(last), "user")).toBeNull();
    const upper = plain.replace("m['content']", "m['content']|upper");
    expect(shapeOf(await modelWith(upper), "user")).toBeNull();
  });
});

describe("the template that serves a model trained with swapped roles", () => {
  const assistantChatml = trainingTemplate(chatmlShape("assistant"), "assistant").replaceAll(
    /\{% (end)?generation %\}/g,
    "",
  );
  const swapped = swapTemplate + assistantChatml;

  it("writes for normal roles what training wrote for swapped ones, and opens the user's turn", () => {
    const trained: readonly ChatMessage[] = [
      { role: "system", content: "s" },
      { role: "user", content: "[start]" },
      { role: "assistant", content: "a" },
      { role: "user", content: "b" },
    ];
    const served: readonly ChatMessage[] = [
      { role: "system", content: "s" },
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
    ];
    expect(render(swapped, served, true)).toBe(render(assistantChatml, trained, true));
    expect(render(swapped, [], true)).toBe(render(assistantChatml, [{ role: "user", content: "[start]" }], true));
    const answered: readonly ChatMessage[] = [{ role: "assistant", content: "b" }];
    expect(render(swapped, answered, true)).toBe(render(assistantChatml, [{ role: "user", content: "b" }], true));
  });

  it("is one that a user model may have", () => {
    const setup = {
      source: swapped,
      specialTokens: {},
      controlTokens: ["<|im_start|>", "<|im_end|>"],
      role: "user",
    } as const;
    const template = createChatTemplate(setup);
    expect(() => checkRole(template, "user")).not.toThrow();
  });
});
