// Owns how much of what a user says stood in the intent already, turn by turn: people unfold their intent, simulators recite it.
// It knows an intent and the questions of its dialogue, not where either comes from.
import { Distribution, type DistributionSummary } from "./distribution.ts";
import { contentWords } from "./questions.ts";

export interface IntentOverlapSummary {
  /** Dialogues that had an intent. */
  readonly dialogues: number;
  readonly firstTurn: DistributionSummary;
  readonly laterTurns: DistributionSummary;
  /** Of the first, second, … question; the last entry is of all from there on. */
  readonly byTurn: readonly { readonly turn: number; readonly n: number; readonly mean: number | null }[];
}

/** Turns with an entry of their own; beyond them few dialogues are left. */
const OWN_TURNS = 10;

/** Running over dialogues: of the different content words of a question, the share that occurs in the intent. */
export class IntentOverlap {
  readonly #first = new Distribution();
  readonly #later = new Distribution();
  readonly #byTurn: Distribution[] = [];
  #dialogues = 0;

  add(intent: string, questions: readonly string[]): void {
    const known = contentWords(intent);
    this.#dialogues += 1;
    for (const [index, question] of questions.entries()) {
      const words = [...contentWords(question)];
      // Nothing is said that could overlap.
      if (words.length === 0) continue;
      const share = words.filter((word) => known.has(word)).length / words.length;
      (index === 0 ? this.#first : this.#later).add(share);
      const place = Math.min(index, OWN_TURNS - 1);
      while (this.#byTurn.length <= place) this.#byTurn.push(new Distribution());
      this.#byTurn[place]?.add(share);
    }
  }

  snapshot(): IntentOverlapSummary {
    return {
      dialogues: this.#dialogues,
      firstTurn: this.#first.summary(),
      laterTurns: this.#later.summary(),
      byTurn: this.#byTurn.map(({ count, mean }, index) => ({ turn: index + 1, n: count, mean })),
    };
  }
}
