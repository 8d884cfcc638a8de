// Owns how a training looks: a bar that redraws itself on a terminal, a line every tenth and every measure elsewhere.
// It knows a text stream and the recipe's events.
import type { RecipeEvent } from "./events.ts";

const BAR_CELLS = 24;

export interface ViewStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

type StartEvent = RecipeEvent & { readonly event: "start" };
type StepEvent = RecipeEvent & { readonly event: "step" };

export class TrainingView {
  readonly #stream: ViewStream;
  readonly #isTerminal: boolean;
  #heldoutLoss: number | null = null;
  #shownTenths = 0;
  #isOnLine = false;

  constructor(stream: ViewStream) {
    this.#stream = stream;
    this.#isTerminal = stream.isTTY === true;
  }

  show(event: RecipeEvent): void {
    switch (event.event) {
      case "start":
        this.#shownTenths = Math.floor((event.step / event.steps) * 10);
        for (const line of opening(event)) this.#line(line);
        break;
      case "step":
        this.#step(event);
        break;
      case "interrupted":
        this.#line(`stopped after step ${event.step}; a checkpoint is written`);
        break;
      case "done":
        if (event.best !== undefined) {
          this.#line(`best held-out loss ${event.best.toFixed(4)} after step ${event.best_step ?? event.steps}`);
        }
        break;
      case "checkpoint":
      case "error":
        break;
    }
  }

  /** Leaves the cursor on an empty line. */
  end(): void {
    if (this.#isOnLine) this.#stream.write("\n");
    this.#isOnLine = false;
  }

  #step(event: StepEvent): void {
    const isMeasured = event.heldout_loss !== undefined;
    this.#heldoutLoss = event.heldout_loss ?? this.#heldoutLoss;
    const text = stepText(event, this.#heldoutLoss);
    if (this.#isTerminal) {
      const full = Math.round((event.step / event.steps) * BAR_CELLS);
      this.#stream.write(`\r[${"█".repeat(full)}${" ".repeat(BAR_CELLS - full)}] ${text}\u001B[K`);
      this.#isOnLine = true;
      return;
    }
    const tenths = Math.floor((event.step / event.steps) * 10);
    if (!isMeasured && tenths <= this.#shownTenths) return;
    this.#shownTenths = tenths;
    this.#line(text);
  }

  #line(text: string): void {
    this.end();
    this.#stream.write(`${text}\n`);
  }
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

function opening(event: StartEvent): string[] {
  const from = event.step === 0 ? "" : `, from step ${event.step}`;
  const devices = event.processes === 1 ? event.device : `${event.processes} processes on ${event.device}`;
  const left = [
    ...(event.cut_examples === 0 ? [] : [`${number(event.cut_examples)} examples were cut at the context's end`]),
    ...(event.dropped_examples === 0 ? [] : [`${number(event.dropped_examples)} had nothing in the loss`]),
  ];
  return [
    `training ${number(event.trained_parameters)} of ${number(event.parameters)} parameters on ${devices}: ${number(event.steps)} steps${from}`,
    `${number(event.train_examples)} examples, ${number(event.train_tokens)} tokens, ${number(event.trained_tokens)} of them in the loss; ` +
      `${number(event.heldout_examples)} held out`,
    ...(left.length === 0 ? [] : [left.join("; ")]),
    ...memoryLine(event),
  ];
}

function memoryLine({ memory_bytes: needed, available_bytes: free }: StartEvent): string[] {
  if (needed === undefined) return [];
  const ofFree = free === undefined ? "" : ` of ${(free / 1e9).toFixed(1)} GB that are free`;
  return [`about ${(needed / 1e9).toFixed(1)} GB of memory${ofFree}`];
}

function stepText(event: StepEvent, heldoutLoss: number | null): string {
  const parts = [`step ${event.step}/${event.steps}`, `loss ${event.loss.toFixed(4)}`];
  if (heldoutLoss !== null) parts.push(`held-out ${heldoutLoss.toFixed(4)}`);
  if (event.tokens_per_s !== undefined) parts.push(`${number(Math.round(event.tokens_per_s))} tokens/s`);
  if (event.eta_s !== undefined && event.step < event.steps) parts.push(`${clock(event.eta_s)} left`);
  return parts.join(" · ");
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return hours === 0 ? `${minutes}:${rest}` : `${hours}:${String(minutes).padStart(2, "0")}:${rest}`;
}
