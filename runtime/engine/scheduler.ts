// Owns who waits, who is being prefilled and who decodes, and plans the next step. Pure: a plan is a value, and nothing
// changes until the engine commits what the step gave. It knows no device and no clock.
import type { Sequence } from "./sequence.ts";

export type StepPlan =
  /** Compute `count` prompt tokens from position `from` on; `isLast` brings the first logits. */
  | {
      readonly kind: "prefill";
      readonly sequence: Sequence;
      readonly from: number;
      readonly count: number;
      readonly isLast: boolean;
    }
  /** Feed one token to each; `rows` counts the padding row too. */
  | { readonly kind: "decode"; readonly sequences: readonly Sequence[]; readonly rows: number };

export interface SchedulerOptions {
  /** Most prompt tokens of one step: the longest any running sequence waits for another's prompt. */
  readonly prefillChunkTokens: number;
  /**
   * Never compute a lone row: decode steps are padded to two rows and one-token chunks recompute their predecessor.
   * Matrix kernels for one row round differently, so this makes results independent of who else is running.
   */
  readonly isBatchInvariant: boolean;
  /** Rows a decode step may have. 1 on devices whose slots cannot be neighbours. */
  readonly maxDecodeRows: number;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly waiting: Sequence[] = [];
  /** Those with prompt tokens to compute in chunks; the first one's turn it is. One is admitted at a time, others come back. */
  readonly prefilling: Sequence[] = [];
  /** Those that compute one token at a time: new ones, or their own of earlier. */
  readonly running: Sequence[] = [];
  #lastKind: StepPlan["kind"] = "decode";
  #nextRow = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get waitingTokens(): number {
    return this.waiting.reduce((sum, sequence) => sum + sequence.promptTokens, 0);
  }

  /** Prompt chunks and decode steps take turns, so neither side starves; null when there is nothing to compute. */
  plan(): StepPlan | null {
    const [first] = this.prefilling;
    if (first !== undefined && (this.running.length === 0 || this.#lastKind === "decode"))
      return this.#planPrefill(first);
    return this.running.length > 0 ? this.#planDecode() : null;
  }

  /** Takes in an admitted sequence. */
  start(sequence: Sequence): void {
    (sequence.isInDecodedSpan ? this.running : this.prefilling).push(sequence);
  }

  /** A planned step was carried out and its tokens are computed: each sequence goes where its next token is computed. */
  commit(plan: StepPlan): void {
    this.#lastKind = plan.kind;
    if (plan.kind === "prefill") {
      const { sequence } = plan;
      if (!sequence.isPrefilled && !sequence.isInDecodedSpan) return;
      this.prefilling.splice(this.prefilling.indexOf(sequence), 1);
      this.running.push(sequence);
      return;
    }
    this.#nextRow += plan.sequences.length;
    for (const sequence of plan.sequences) {
      if (sequence.isPrefilled || sequence.isInDecodedSpan) continue;
      this.running.splice(this.running.indexOf(sequence), 1);
      this.prefilling.push(sequence);
    }
  }

  /** Takes a sequence out, wherever it is. */
  remove(sequence: Sequence): void {
    for (const list of [this.waiting, this.prefilling, this.running]) {
      const index = list.indexOf(sequence);
      if (index !== -1) list.splice(index, 1);
    }
  }

  /** Every sequence inside. */
  all(): Sequence[] {
    return [...this.waiting, ...this.started()];
  }

  /** Every sequence with a slot. */
  started(): Sequence[] {
    return [...this.prefilling, ...this.running];
  }

  #planPrefill(sequence: Sequence): StepPlan {
    const { prefillChunkTokens, isBatchInvariant } = this.#options;
    const start = sequence.computedTokens;
    const end = Math.min(start + prefillChunkTokens, sequence.prefillEnd);
    const from = isBatchInvariant && end - start === 1 && start > 0 ? start - 1 : start;
    return { kind: "prefill", sequence, from, count: end - from, isLast: end === sequence.promptTokens };
  }

  #planDecode(): StepPlan {
    const { maxDecodeRows, isBatchInvariant } = this.#options;
    const count = Math.min(this.running.length, maxDecodeRows);
    // With fewer rows than sequences they take turns.
    const first = count < this.running.length ? this.#nextRow % this.running.length : 0;
    const sequences = Array.from({ length: count }, (_, index) => this.running[(first + index) % this.running.length]!);
    return { kind: "decode", sequences, rows: isBatchInvariant && maxDecodeRows > 1 ? Math.max(2, count) : count };
  }
}
