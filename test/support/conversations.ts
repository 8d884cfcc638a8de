// Makes conversations for tests: short ones by hand, and random ones with everything that people type.
import fc from "fast-check";
import type { Conversation, Utterance } from "../../training/conversation.ts";
import { tinyControls } from "./tokenizers.ts";

/** Turns by turns, the user's first unless said otherwise. */
export function conversation(
  contents: readonly (string | Partial<Utterance>)[],
  more: Partial<Conversation> & { readonly first?: Utterance["role"] } = {},
): Conversation {
  const { first = "user", ...fields } = more;
  const second = first === "user" ? "assistant" : "user";
  const utterances = contents.map((given, index): Utterance => {
    const role = index % 2 === 0 ? first : second;
    return typeof given === "string" ? { role, content: given } : { role, content: "", ...given };
  });
  return {
    id: "c1",
    group: "c1",
    origin: { file: "test.jsonl", row: 1 },
    system: { user: null, assistant: null },
    utterances,
    isComplete: true,
    provenance: {},
    ...fields,
  };
}

/** Text of every kind, control tokens of the tiny and of well-known tokenizers among it; never only white space. */
const anyText = (extra: readonly string[] = []) =>
  fc
    .array(
      fc.oneof(
        fc.string({ unit: "grapheme", maxLength: 12 }),
        fc.constantFrom(...tinyControls, "<|im_end|>", "</s>", "<s>", "[INST]", "[start]", "\n", "<|", "|>", ...extra),
        fc.constantFrom("hi you", "Äpfel", "日本語", "👩‍👩‍👧", "\u200b", "a\r\nb", '"quoted"', "{{ x }}", "{% if %}"),
      ),
      { minLength: 1, maxLength: 5 },
    )
    .map((parts) => parts.join("").trim())
    .filter((text) => text !== "" && text.isWellFormed());

/** Alternating dialogues of either opening, with and without system messages and sampled ids. */
export const anyConversation = (extra: readonly string[] = []) =>
  fc
    .record({
      first: fc.constantFrom<Utterance["role"][]>("user", "user", "assistant"),
      contents: fc.array(anyText(extra), { minLength: 2, maxLength: 7 }),
      system: fc.option(anyText(extra)),
      isComplete: fc.boolean(),
    })
    .map(({ first, contents, system, isComplete }) =>
      conversation(contents, { first, isComplete, system: { user: system, assistant: system } }),
    );
