import { expect, it } from "vitest";
import type { ChatMessage } from "../../runtime/chat-model.ts";
import { createChatTemplate } from "../../runtime/text/chat-template.ts";
import { renderTurns } from "../../runtime/turn-spans.ts";
import { goldenTokenizer, lettersOf, tiny, tinyControls, tinyTokenizer } from "../support/tokenizers.ts";

const never = new AbortController().signal;
const messages: readonly ChatMessage[] = [
  { role: "user", content: "hello there" },
  { role: "assistant", content: "yes" },
];

it("a turn is encoded as the whole is, where that leaves the prompt's own ids alone: a first word keeps its space mark", async () => {
  const tokenizer = goldenTokenizer("phi-3-mini");
  const source =
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|user|>\n' }}{% endif %}";
  const controlTokens = tokenizer.controlTokens;
  const template = createChatTemplate({ source, specialTokens: {}, controlTokens, role: "user" });
  const stopIds = [tokenizer.idOf("<|end|>") ?? -1];
  const { ids, turns } = await renderTurns({ role: "user", tokenizer, template, stopIds }, messages, never);
  const [turn] = turns;
  const text = template.renderText(messages, true);
  expect(ids).toEqual(tokenizer.encode([{ type: "markup", text }]));
  expect(ids.slice(turn?.start, turn?.end).map((id) => tokenizer.tokenOf(id))).toEqual(["▁hello", "▁there", "<|end|>"]);
});

it("white space that the generation prompt does not write is said by the model, and is part of its turn", async () => {
  const source =
    "{% for m in messages %}{{ '<|' + m['role'] + '|> ' + m['content'] + '<|end|>' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|user|>' }}{% endif %}";
  const template = createChatTemplate({ source, specialTokens: {}, controlTokens: tinyControls, role: "user" });
  const parts = { role: "user", tokenizer: tinyTokenizer(), template, stopIds: [tiny.end] } as const;
  const { ids, turns } = await renderTurns(parts, [{ role: "user", content: "ab" }], never);
  expect(turns).toEqual([{ messageIndex: 0, start: 1, end: 5, isClosed: true }]);
  expect(ids.slice(1, 5)).toEqual([...parts.tokenizer.encode([{ type: "plain", text: " ab" }]), tiny.end]);
});

it("an empty turn is the token that ends it alone", async () => {
  const source =
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|user|>' }}{% endif %}";
  const template = createChatTemplate({ source, specialTokens: {}, controlTokens: tinyControls, role: "user" });
  const parts = { role: "user", tokenizer: tinyTokenizer(), template, stopIds: [tiny.end] } as const;
  const said: readonly ChatMessage[] = [
    { role: "user", content: "" },
    { role: "assistant", content: "ab" },
    { role: "user", content: "c" },
  ];
  const { ids, turns } = await renderTurns(parts, said, never);
  expect(turns.map(({ start, end }) => ids.slice(start, end))).toEqual([[tiny.end], [...lettersOf("c"), tiny.end]]);
});
