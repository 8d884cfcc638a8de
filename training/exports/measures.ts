// Owns the measures of what is exported, for a data set card: Table 5 and the counts that it rests on.
// It does not know how they are measured.
import { RunningQuality } from "../measures/job-quality.ts";
import type { Conversation } from "../conversation.ts";
import type { ModelText } from "../examples/model-text.ts";

export interface Measures {
  add(conversation: Conversation): void;
  result(): unknown;
}

/** Counts tokens as the model does, or bytes where there is none. */
export function createMeasures(model: ModelText | null): Measures {
  const tokenizer =
    model === null
      ? { name: "utf-8 bytes", countTokens: (text: string) => Buffer.byteLength(text) }
      : { name: model.id, countTokens: (text: string) => model.tokenizer.encode([{ type: "plain", text }]).length };
  const quality = new RunningQuality({ tokenizer });
  return {
    add({ id, origin, utterances, provenance }) {
      const turns = utterances.map(({ role, content }) => ({ role, content }));
      const { stop_reason: stopped } = provenance;
      const stopReason = typeof stopped === "string" ? stopped : "unknown";
      const givenTurns = utterances.findIndex((said) => said.isContext !== true);
      // Ids are unique within a source only.
      quality.add({ id: `${origin.file}\n${id}`, turns, stopReason, givenTurns: Math.max(givenTurns, 0) });
    },
    result() {
      const { dialogues, table5, tokens, rates } = quality.snapshot();
      return { table5, tokenizer: tokens.tokenizer, dialogues, rates };
    },
  };
}
