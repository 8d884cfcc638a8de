// Owns measuring one source while it streams by: the figures of every group of its conversations, in one pass.
// What grows with a source is told where it grows (docs/measures.md); texts are not kept. It knows no files and no reports.
import type { Conversation } from "../conversation.ts";
import { RunningQuality, type JobQualityOptions } from "../measures/job-quality.ts";
import { normaliseText, plainWords } from "../measures/words.ts";
import { toQualityDialogue } from "./quality-dialogue.ts";
import { JudgeSample } from "./sampled-judging.ts";
import { TopCounts } from "./top-counts.ts";

export interface MeasureOptions extends JobQualityOptions {
  /** Dialogues to keep for a judge, of every group. */
  readonly judgeSample: number;
  /** Which group a conversation belongs to; null: all are one. */
  readonly groupOf: ((conversation: Conversation) => string) | null;
}

/** A source, or one group of it. */
export interface Measured {
  /** null for a source that is not divided. */
  readonly group: string | null;
  readonly quality: RunningQuality;
  /** Of questions, the first two words. */
  readonly firstWords: TopCounts;
  readonly openers: TopCounts;
  readonly sample: JudgeSample;
}

/** Of a row: 0.2 GB for near-duplicates, and as much for words. */
export const statsLimits = { comparedDialogues: 250_000, corpusWords: 50_000_000 };

const firstWordCount = 2;
/** Long openers that begin alike are one. */
const openerLength = 160;
const mostGroups = 100;

/** Groups come in the order of their first conversations. Throws an Error when there are more than can be shown. */
export async function measure(
  conversations: AsyncIterable<Conversation>,
  options: MeasureOptions,
): Promise<Measured[]> {
  const groups = new Map<string | null, Measured>();
  // A source that has nothing in it still has a line.
  if (options.groupOf === null) groups.set(null, open(null, options));
  for await (const conversation of conversations) {
    const group = options.groupOf?.(conversation) ?? null;
    let measured = groups.get(group);
    if (measured === undefined) {
      if (groups.size === mostGroups) {
        throw new Error(
          `There are more than ${mostGroups} groups, the last one "${group ?? ""}": choose another field.`,
        );
      }
      measured = open(group, options);
      groups.set(group, measured);
    }
    take(measured, conversation);
  }
  return [...groups.values()];
}

function open(group: string | null, options: MeasureOptions): Measured {
  return {
    group,
    quality: new RunningQuality(options),
    firstWords: new TopCounts(),
    openers: new TopCounts(),
    sample: new JudgeSample(options.judgeSample),
  };
}

function take({ quality, firstWords, openers, sample }: Measured, conversation: Conversation): void {
  const dialogue = toQualityDialogue(conversation);
  const { isExactDuplicate, isNearDuplicate } = quality.add(dialogue);
  const questions = dialogue.turns.filter(({ role }) => role === "user").map(({ content }) => content);
  const [opener] = questions;
  if (opener !== undefined) openers.add(Array.from(normaliseText(opener)).slice(0, openerLength).join(""));
  if (isExactDuplicate || isNearDuplicate || dialogue.turns.length === 0) return;
  for (const question of questions) {
    const words = plainWords(question).slice(0, firstWordCount).join(" ");
    if (words !== "") firstWords.add(words);
  }
  sample.offer(dialogue);
}
