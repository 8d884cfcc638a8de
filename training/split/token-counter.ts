// Owns how many tokens an utterance takes in a model's rendering: its words, the role's markers and the end token.
// The serving tokenizer and template count, so that what fits here fits when the model is served. It cuts nothing.
import type { ChatMessage, ModelRole } from "../../runtime/chat-model.ts";
import type { TextSide } from "../../runtime/text-side.ts";
import type { Utterance } from "../conversation.ts";

export interface TokenCounter {
  /** Tokens of the rendered utterance. */
  count(utterance: Utterance): number;
  /** No fewer than `count`, found without tokenizing where that is possible; exact where it is not. */
  countAtMost(utterance: Utterance): number;
  /** What a rendering has besides utterances: the beginning, the system message, the generation prompt. */
  frame(system: string | null): number;
}

/** Counts as the folder's tokenizer and template do. */
export function createTokenCounter({ tokenizer, template }: Pick<TextSide, "tokenizer" | "template">): TokenCounter {
  const rendered = (messages: readonly ChatMessage[]) => tokenizer.encode(template.render(messages).pieces).length;
  const words = (text: string) => tokenizer.encode([{ type: "plain", text }]).length;
  const probe = "probe";
  const asked: ChatMessage = { role: "user", content: probe };
  const answered: ChatMessage = { role: "assistant", content: probe };
  const first = rendered([asked]);
  const second = rendered([asked, answered]);
  const markers: Readonly<Record<ModelRole, number>> = {
    assistant: second - first - words(probe),
    user: rendered([asked, answered, asked]) - second - words(probe),
  };
  const frameOf = (system: string | null): number => {
    const before: readonly ChatMessage[] = system === null ? [] : [{ role: "system", content: system }];
    return rendered([...before, asked]) - markers.user - words(probe);
  };
  let latest = { system: null as string | null, tokens: frameOf(null) };

  const count = ({ role, content, tokenIds }: Utterance): number =>
    markers[role] + (tokenIds?.length ?? words(content));
  return {
    count,
    countAtMost(utterance) {
      const { role, content, tokenIds } = utterance;
      // A token covers at least a byte of ASCII, which no normalizer makes longer; a space may be put before.
      if (tokenIds === undefined && isAscii(content)) return markers[role] + content.length + 1;
      return count(utterance);
    },
    frame(system) {
      if (latest.system !== system) latest = { system, tokens: frameOf(system) };
      return latest.tokens;
    },
  };
}

const isAscii = (text: string) => Buffer.byteLength(text) === text.length;
