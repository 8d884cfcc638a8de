// Owns how a job looks in a terminal while it runs: one line with a bar, and one at the end.
// It reads the events of the HTTP stream and writes nothing itself; times are given to it.
import { z } from "zod";

const count = z.number();

const eventSchema = z.union([
  z.object({ type: z.literal("turn"), is_kept: z.boolean(), completion_tokens: count }),
  z.object({
    type: z.literal("dialogue"),
    stop_reason: z.string(),
    completed: count,
    failed: count,
    cancelled: count,
    total: count,
  }),
  z.object({ type: z.literal("status"), status: z.string(), error: z.string().nullish() }),
]);

const barWidth = 24;

/** One job on a screen. */
export class JobView {
  readonly #reasons = new Map<string, number>();
  #startedMs: number | null = null;
  #ended = 0;
  /** Ended before anyone watched: they say nothing about how fast it goes. */
  #endedBefore: number | null = null;
  #total = 0;
  #failed = 0;
  #turns = 0;
  #tokens = 0;
  #status = "queued";
  #error: string | null = null;

  get status(): string {
    return this.#status;
  }

  /** Takes an event; whether the line has changed. Events it does not know are ignored, as newer gateways may send more. */
  take(raw: unknown, nowMs: number): boolean {
    const { success, data: event } = eventSchema.safeParse(raw);
    if (!success) return false;
    this.#startedMs ??= nowMs;
    if (event.type === "turn") {
      this.#turns += 1;
      this.#tokens += event.completion_tokens;
    } else if (event.type === "dialogue") {
      const { completed, failed, cancelled, total, stop_reason: reason } = event;
      this.#ended = completed + failed + cancelled;
      this.#endedBefore ??= this.#ended - 1;
      this.#failed = failed;
      this.#total = total;
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    } else {
      this.#status = event.status;
      this.#error = event.error ?? null;
    }
    return true;
  }

  /** The line of now. */
  line(nowMs: number): string {
    const seconds = this.#startedMs === null ? 0 : (nowMs - this.#startedMs) / 1000;
    const share = this.#total === 0 ? 0 : this.#ended / this.#total;
    const filled = Math.round(share * barWidth);
    const bar = `${"█".repeat(filled)}${"░".repeat(barWidth - filled)}`;
    const speed = seconds > 0 ? Math.round(this.#tokens / seconds) : 0;
    const dialogues = this.#total === 0 ? "…" : `${this.#ended}/${this.#total}`;
    const parts = [
      `${bar} ${dialogues} dialogues`,
      `${this.#turns} turns`,
      `${speed} tokens/s`,
      `ETA ${this.#eta(seconds)}`,
      ...(this.#failed > 0 ? [`${this.#failed} failed`] : []),
      [...this.#reasons].map(([reason, times]) => `${reason} ${times}`).join(" "),
    ];
    return parts.filter((part) => part !== "").join(" · ");
  }

  /** What it came to. */
  summary(nowMs: number): string {
    const error = this.#error === null ? "" : ` ${this.#error}`;
    return `${this.#status} · ${this.line(nowMs)}${error}`;
  }

  #eta(seconds: number): string {
    const done = this.#ended - (this.#endedBefore ?? 0);
    if (done <= 0 || seconds <= 0) return "–";
    const left = Math.ceil(((this.#total - this.#ended) * seconds) / done);
    const minutes = Math.floor(left / 60);
    return minutes < 60
      ? `${minutes}:${String(left % 60).padStart(2, "0")}`
      : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
}
