// Owns what the recipe says: one JSON object a line on standard output and in RUN/log.jsonl, and how fast it is.
// What the lines mean to `npm run train` is training/train/events.ts.
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/** Steps that speed and the time left are reckoned by. */
const RECENT_STEPS = 50;

export class Reporter {
  readonly #path: string;
  readonly #write: (line: string) => void;
  #marks: { readonly seconds: number; readonly tokens: number }[] = [];

  /** `write` puts a line on standard output. */
  constructor(runFolder: string, write: (line: string) => void) {
    this.#path = join(runFolder, "log.jsonl");
    this.#write = write;
  }

  say(event: string, fields: Readonly<Record<string, unknown>>): void {
    const line = `${JSON.stringify({ event, ...fields })}\n`;
    mkdirSync(join(this.#path, ".."), { recursive: true });
    appendFileSync(this.#path, line);
    this.#write(line);
  }

  /** An error is said, and not logged where the run is not this one's. */
  fail(message: string): void {
    this.#write(`${JSON.stringify({ event: "error", message })}\n`);
  }

  /** Adds tokens per second and the time left, by the last steps. */
  step(step: number, steps: number, tokens: number, fields: Readonly<Record<string, unknown>>): void {
    const seconds = performance.now() / 1000;
    this.#marks = [...this.#marks.slice(1 - RECENT_STEPS), { seconds, tokens }];
    const [first] = this.#marks;
    const speeds: Record<string, number> = {};
    if (this.#marks.length > 1 && first !== undefined) {
      const spent = Math.max(1e-9, seconds - first.seconds);
      const done = this.#marks.slice(1).reduce((sum, mark) => sum + mark.tokens, 0);
      speeds["tokens_per_s"] = round(done / spent);
      speeds["eta_s"] = round(((steps - step) * spent) / (this.#marks.length - 1));
    }
    this.say("step", { step, steps, tokens, ...fields, ...speeds });
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
