// Owns a training from its first step to its last: which batch next, how far to go along its gradient, when to measure, when to
// keep the state, when to stop. Everything it says goes to the reporter.
// It knows neither flags nor graphs; files have owners of their own.
import { join } from "node:path";
import { stat } from "node:fs/promises";
import { EngineError } from "../../runtime/errors.ts";
import type { AdamW } from "./adamw.ts";
import { BadInput } from "./bad-input.ts";
import { batchOf } from "./batch.ts";
import { loadCheckpoint, type Progress, readState, saveCheckpoint, saveState } from "./checkpoint-file.ts";
import { type Examples, totalTokens, totalTrainedTokens } from "./examples.ts";
import { learningRateOf, type RateSettings } from "./learning-rate.ts";
import type { Network } from "./network.ts";
import type { Reporter } from "./reporter.ts";
import { batchesOf, Schedule } from "./schedule.ts";

export interface TrainerSettings extends RateSettings {
  readonly runFolder: string;
  readonly padId: number;
  readonly epochs: number;
  readonly maxSteps: number | null;
  readonly batchTokens: number;
  readonly accumulate: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly seed: number;
  readonly evaluateEvery: number;
  readonly patience: number;
  readonly checkpointEvery: number;
  readonly keep: number;
}

interface StepResult {
  readonly loss: number;
  readonly norm: number;
  readonly rate: number;
  readonly tokens: number;
}

const BEST_FILE = "best.safetensors";

export class Trainer {
  readonly steps: number;
  readonly schedule: Schedule;
  readonly #settings: TrainerSettings;
  readonly #train: Examples;
  readonly #heldout: Examples;
  readonly #network: Network;
  readonly #optimizer: AdamW;
  readonly #reporter: Reporter;
  #progress: Progress;
  #savedStep = -1;

  constructor(
    settings: TrainerSettings,
    { train, heldout }: { readonly train: Examples; readonly heldout: Examples },
    { network, optimizer }: { readonly network: Network; readonly optimizer: AdamW },
    reporter: Reporter,
  ) {
    this.#settings = settings;
    this.#train = train;
    this.#heldout = heldout;
    this.#network = network;
    this.#optimizer = optimizer;
    this.#reporter = reporter;
    this.schedule = scheduleOf(settings, train);
    this.steps = stepsOf(settings, this.schedule);
    this.#progress = { step: 0, best: Number.POSITIVE_INFINITY, bestStep: 0, waited: 0, dataSha256: train.sha256 };
  }

  /** Goes on from the newest checkpoint, where there is one. Throws BadInput when it does not fit. */
  async restore(): Promise<void> {
    const found = await loadCheckpoint(this.#checkpoints, this.#state());
    if (found === null) return;
    if (found.dataSha256 !== this.#train.sha256) {
      throw new BadInput("train.jsonl has changed since the run began; another --run-folder begins anew");
    }
    this.#progress = found;
    this.#savedStep = found.step;
  }

  /** What the start event says of the data and the work. */
  describe(): Record<string, unknown> {
    return {
      step: this.#progress.step,
      steps: this.steps,
      steps_per_epoch: this.schedule.stepsPerEpoch,
      train_sha256: this.#train.sha256,
      train_examples: this.#train.items.length,
      train_tokens: totalTokens(this.#train.items),
      trained_tokens: totalTrainedTokens(this.#train.items),
      heldout_examples: this.#heldout.items.length,
      cut_examples: this.#train.cut + this.#heldout.cut,
      dropped_examples: this.#train.dropped + this.#heldout.dropped,
    };
  }

  /**
   * Trains to the end; false when the signal came first. Either way the newest state is in a checkpoint. A pass that the
   * signal interrupts is done again when the run goes on. Throws BadInput when the loss is no number any more.
   */
  async fit(signal: AbortSignal): Promise<boolean> {
    const { patience, evaluateEvery, checkpointEvery } = this.#settings;
    const stop = () => this.#network.terminate();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (this.#progress.step < this.steps) {
        if (patience > 0 && this.#progress.waited >= patience) break;
        const result = signal.aborted ? null : await this.#step(this.#progress.step, signal);
        if (result === null) {
          await this.#checkpoint();
          this.#reporter.say("interrupted", { step: this.#progress.step });
          return false;
        }
        const step = this.#progress.step + 1;
        this.#progress = { ...this.#progress, step };
        const isMeasured = this.#heldout.items.length > 0 && (step % evaluateEvery === 0 || step === this.steps);
        const measured = isMeasured ? { heldout_loss: await this.#measure() } : {};
        const { loss, norm, rate, tokens } = result;
        this.#reporter.step(step, this.steps, tokens, { loss, lr: rate, gradient_norm: norm, ...measured });
        if (step % checkpointEvery === 0) await this.#checkpoint();
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
    await this.#checkpoint();
    return true;
  }

  /** Takes the weights with the best held-out loss; gives what the last event says of it. */
  async takeBest(): Promise<Record<string, number>> {
    const path = join(this.#settings.runFolder, BEST_FILE);
    if ((await stat(path).catch(() => null)) !== null) await readState(path, { "": this.#network.trained });
    if (this.#heldout.items.length === 0) return {};
    return { best: this.#progress.best, best_step: this.#progress.bestStep };
  }

  /** Null when it was interrupted; then nothing has changed. */
  async #step(step: number, signal: AbortSignal): Promise<StepResult | null> {
    const { items } = this.#train;
    const batches = this.schedule.batches(step).map((batch) => batch.flatMap((index) => items[index] ?? []));
    const labels = totalTrainedTokens(batches.flat());
    let lossSum = 0;
    for (const [index, batch] of batches.entries()) {
      try {
        lossSum += await this.#network.accumulate(batchOf(batch, this.#settings.padId), 1 / labels, index === 0);
      } catch (error) {
        if (signal.aborted && error instanceof EngineError && error.code === "cancelled") return null;
        throw error;
      }
    }
    const loss = lossSum / labels;
    const norm = await this.#optimizer.gradientNorm();
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      throw new BadInput(
        `the loss is no number any more at step ${step + 1}: go on from a checkpoint with a lower --lr in another --run-folder`,
      );
    }
    const rate = learningRateOf(this.#settings, step, this.steps);
    const { weightDecay: decay, clip } = this.#settings;
    await this.#optimizer.update(norm, { step: step + 1, rate, decay, clip });
    return { loss, norm, rate, tokens: totalTokens(batches.flat()) };
  }

  /** The held-out loss in nats a token; the weights are kept where it is the best so far. */
  async #measure(): Promise<number> {
    const { items } = this.#heldout;
    const { batchTokens, padId, runFolder } = this.#settings;
    // Not the memory of both kinds of passes at once: a session is made anew in less time than a step takes.
    this.#network.close("gradients");
    let lossSum = 0;
    const lengths = items.map(({ ids }) => ids.length);
    for (const batch of batchesOf(lengths, batchTokens, null)) {
      lossSum += await this.#network.lossOf(
        batchOf(
          batch.flatMap((index) => items[index] ?? []),
          padId,
        ),
      );
    }
    this.#network.close("loss");
    const loss = lossSum / totalTrainedTokens(items);
    if (loss < this.#progress.best) {
      await saveState(join(runFolder, BEST_FILE), { "": this.#network.trained });
      this.#progress = { ...this.#progress, best: loss, bestStep: this.#progress.step, waited: 0 };
    } else {
      this.#progress = { ...this.#progress, waited: this.#progress.waited + 1 };
    }
    return loss;
  }

  async #checkpoint(): Promise<void> {
    if (this.#savedStep === this.#progress.step) return;
    await saveCheckpoint(this.#checkpoints, this.#progress, this.#state(), this.#settings.keep);
    this.#savedStep = this.#progress.step;
    this.#reporter.say("checkpoint", { step: this.#progress.step });
  }

  get #checkpoints(): string {
    return join(this.#settings.runFolder, "checkpoints");
  }

  #state() {
    const { means, squares } = this.#optimizer;
    return { "": this.#network.trained, "mean/": means, "square/": squares };
  }
}

export function scheduleOf({ batchTokens, accumulate, seed }: TrainerSettings, { items }: Examples): Schedule {
  return new Schedule(
    items.map(({ ids }) => ids.length),
    batchTokens,
    accumulate,
    seed,
  );
}

function stepsOf({ epochs, maxSteps }: TrainerSettings, { stepsPerEpoch }: Schedule): number {
  const wanted = Math.ceil(epochs * stepsPerEpoch);
  return maxSteps === null || maxSteps === 0 ? wanted : Math.min(wanted, maxSteps);
}
