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
  /** At most one: prompts are computed one after the other, each in one go of chunks. */
  prefilling: Sequence | null = null;
  readonly running: Sequence[] = [];
  #lastKind: StepPlan["kind"] = "decode";
  #nextRow = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.waiting.length === 0 && this.prefilling === null && this.running.length === 0;
  }

  get waitingTokens(): number {
    return this.waiting.reduce((sum, sequence) => sum + sequence.promptTokens, 0);
  }

  /** Prompt chunks and decode steps take turns, so neither side starves; null when there is nothing to compute. */
  plan(): StepPlan | null {
    if (this.prefilling !== null && (this.running.length === 0 || this.#lastKind === "decode")) {
      return this.#planPrefill(this.prefilling);
    }
    return this.running.length > 0 ? this.#planDecode() : null;
  }

  /** A planned step was carried out; sequences whose prompt is complete begin to decode. */
  commit(plan: StepPlan): void {
    this.#lastKind = plan.kind;
    if (plan.kind === "prefill" && plan.isLast) {
      this.prefilling = null;
      this.running.push(plan.sequence);
    }
    if (plan.kind === "decode") this.#nextRow += plan.sequences.length;
  }

  /** Takes a sequence out, wherever it is. */
  remove(sequence: Sequence): void {
    if (this.prefilling === sequence) this.prefilling = null;
    for (const list of [this.waiting, this.running]) {
      const index = list.indexOf(sequence);
      if (index !== -1) list.splice(index, 1);
    }
  }

  /** Every sequence inside. */
  all(): Sequence[] {
    return [...this.waiting, ...(this.prefilling === null ? [] : [this.prefilling]), ...this.running];
  }

  #planPrefill(sequence: Sequence): StepPlan {
    const { prefillChunkTokens, isBatchInvariant } = this.#options;
    const start = sequence.computedTokens;
    const end = Math.min(start + prefillChunkTokens, sequence.promptTokens);
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
