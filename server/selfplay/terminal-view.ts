// Owns how a dialogue looks in a terminal: who speaks, in which colour, and the last line with what it came to.
// It reads the events of the HTTP stream, so a dialogue played here and one played elsewhere look the same. It writes nothing itself.
import { z } from "zod";

/** Marks text up, or leaves it alone where the terminal has no colours. */
export type Paint = (style: "cyan" | "green" | "dim" | "bold", text: string) => string;

const role = z.enum(["user", "assistant"]);
const count = z.number();

const eventSchema = z.union([
  z.object({ type: z.literal("turn_start"), role }),
  z.object({ type: z.literal("token"), role, text: z.string() }),
  z.object({
    type: z.literal("turn_end"),
    role,
    turn: count,
    content: z.string(),
    cause: z.string(),
    usage: z.object({ completion_tokens: count }),
  }),
  z.object({ type: z.literal("turn_discarded"), role, turn: count }),
  z.object({ object: z.literal("selfplay.dialogue"), stop_reason: z.string(), turns: count, seed: count }),
]);

type ViewEvent = z.infer<typeof eventSchema>;

const colours = { user: "cyan", assistant: "green" } as const;
const labelWidth = 11;
const indent = " ".repeat(labelWidth);

/** One dialogue on a screen: what to write for each event, and for the end. Times are given to it. */
export class TerminalView {
  readonly #paint: Paint;
  /** Nothing of the running turn has been written yet. */
  #isTurnBlank = true;
  /** The cursor stands behind an unfinished turn. */
  #isMidTurn = false;
  #startedMs: number | null = null;
  #endedMs = 0;
  #tokens = 0;
  #finishedTurns = 0;
  /** Turns in which nothing was said: taking them back is not worth a line. */
  readonly #silentTurns = new Set<string>();
  #stopReason: string | null = null;
  #turns: number | null = null;
  #seed: number | null = null;

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  /** Whether there is anything to sum up. */
  get hasBegun(): boolean {
    return this.#startedMs !== null;
  }

  /** What to write for an event of the stream; events it does not know are ignored, as newer gateways may send more. */
  show(raw: unknown, nowMs: number): string {
    const { success, data: event } = eventSchema.safeParse(raw);
    if (!success) return "";
    this.#startedMs ??= nowMs;
    this.#endedMs = nowMs;
    return "object" in event ? this.#close(event) : this.#showTurn(event);
  }

  /** The last line; `fallbackReason` stands where the dialogue never came to its end. */
  summary(fallbackReason: string): string {
    const seconds = this.#startedMs === null ? 0 : (this.#endedMs - this.#startedMs) / 1000;
    const turns = this.#turns ?? Math.floor(this.#finishedTurns / 2);
    const speed = seconds > 0 ? ` · ${(this.#tokens / seconds).toFixed(1)} tokens/s` : "";
    const seed = this.#seed === null ? "" : ` · seed ${this.#seed}`;
    const line =
      `${this.#stopReason ?? fallbackReason} · ${turns} ${turns === 1 ? "turn" : "turns"} · ` +
      `${this.#tokens} tokens in ${seconds.toFixed(1)} s${speed}${seed}`;
    return `${this.#isMidTurn ? "\n" : ""}\n${this.#paint("dim", line)}\n`;
  }

  #showTurn(event: Exclude<ViewEvent, { object: string }>): string {
    const { role: speaker } = event;
    switch (event.type) {
      case "turn_start":
        this.#isTurnBlank = true;
        this.#isMidTurn = true;
        return this.#paint("bold", this.#paint(colours[speaker], speaker.padEnd(labelWidth)));
      case "token": {
        const text = printable(this.#isTurnBlank ? event.text.trimStart() : event.text);
        if (text === "") return "";
        this.#isTurnBlank = false;
        return this.#paint(colours[speaker], text.replaceAll("\n", `\n${indent}`));
      }
      case "turn_end":
        return this.#endTurn(event);
      case "turn_discarded":
      default: {
        this.#finishedTurns -= 1;
        const isSilent = this.#silentTurns.has(`${speaker} ${event.turn}`);
        return isSilent
          ? ""
          : `${this.#paint("dim", `${indent}(the ${speaker}'s turn ${event.turn} is taken back)`)}\n`;
      }
    }
  }

  #endTurn({ role: speaker, turn, content, cause, usage }: Extract<ViewEvent, { cause: string }>): string {
    this.#isMidTurn = false;
    this.#finishedTurns += 1;
    this.#tokens += usage.completion_tokens;
    if (content.trim() === "") {
      this.#silentTurns.add(`${speaker} ${turn}`);
      return `${this.#paint("dim", cause === "end_of_conversation" ? "(ends the conversation)" : "(nothing)")}\n`;
    }
    return cause === "end_token" ? "\n" : `${this.#paint("dim", ` [${cause}]`)}\n`;
  }

  #close(dialogue: Extract<ViewEvent, { object: string }>): string {
    this.#stopReason = dialogue.stop_reason;
    this.#turns = dialogue.turns;
    this.#seed = dialogue.seed;
    return "";
  }
}

/** Without what would steer the terminal: a model can sample escape sequences too. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is meant
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
