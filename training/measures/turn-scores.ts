// Owns what scored user turns come to: one perplexity per model that scored, values of different models never mixed.
// It takes scores that were computed already; which dialogues are scored, and by whom, is decided elsewhere.
import { Perplexity, type TurnLikelihood } from "./perplexity.ts";

/** The user turns of one dialogue as one model finds them. */
export interface ScoredDialogue {
  readonly dialogueId: string;
  readonly model: string;
  /** Another hash is another model. */
  readonly modelHash: string;
  /** null when the model cannot score the dialogue, say for its length. */
  readonly turns: readonly TurnLikelihood[] | null;
}

export interface PerplexitySummary {
  readonly model: string;
  readonly modelHash: string;
  readonly value: number | null;
  readonly tokens: number;
  readonly turns: number;
  readonly dialogues: number;
  /** Dialogues that it could not score. */
  readonly unscored: number;
}

interface ScorerState {
  readonly model: string;
  readonly modelHash: string;
  readonly perplexity: Perplexity;
  readonly added: Set<string>;
  unscored: number;
}

/** Running over scored dialogues; the same one added twice counts once. */
export class TurnScores {
  readonly #scorers = new Map<string, ScorerState>();

  add({ dialogueId, model, modelHash, turns }: ScoredDialogue): void {
    const key = `${model} ${modelHash}`;
    const state = this.#scorers.get(key) ?? {
      model,
      modelHash,
      perplexity: new Perplexity(),
      added: new Set<string>(),
      unscored: 0,
    };
    this.#scorers.set(key, state);
    if (state.added.has(dialogueId)) return;
    state.added.add(dialogueId);
    if (turns === null) state.unscored += 1;
    for (const turn of turns ?? []) state.perplexity.add(turn);
  }

  summaries(): PerplexitySummary[] {
    return Array.from(this.#scorers.values(), ({ model, modelHash, perplexity, added, unscored }) => {
      const { value, tokens, turns } = perplexity.snapshot();
      return { model, modelHash, value, tokens, turns, dialogues: added.size - unscored, unscored };
    });
  }
}
