// Owns one dialogue of a job from the moment it was taken to the moment it is ended or put back: every turn is committed before
// the next begins, under the lease it was taken with. It decides nothing about other dialogues; runner.ts does.
import { EngineError, type EngineErrorCode } from "../../../runtime/errors.ts";
import type { ChatUsage } from "../../../runtime/chat-model.ts";
import type { Dialogue, DialogueEvent, DialogueRequest, Turn, Verdict } from "../dialogue-types.ts";
import type { Database } from "../../store/database.ts";
import { findDialogue } from "../store/dialogue-store.ts";
import {
  commitTurn,
  commitVerdict,
  type DialogueEnd,
  endDialogue,
  type JobProgress,
  releaseDialogue,
  retryDialogue,
} from "../store/lease-store.ts";
import type { Json, Lease, StoredTurn } from "../store/records.ts";
import type { LiveHub } from "./live-hub.ts";
import { recordOf } from "./record.ts";
import type { Versions } from "./versions.ts";

/** What a dialogue needs besides itself. */
export interface RunContext {
  readonly database: Database;
  readonly hub: LiveHub;
  readonly leaseMs: number;
  readonly owner: string;
  readonly versions: Versions;
  /** What a model's turn cost, in the currency of the budget. */
  readonly priceOf: (modelId: string, usage: ChatUsage) => number;
}

/** How others interfere with a dialogue that is being played. */
export interface RunControl {
  /** Ends it as cancelled. */
  readonly cancel: AbortSignal;
  /** Leaves at once and writes nothing more: it belongs to somebody else, or the time to finish is over. */
  readonly leave: AbortSignal;
  /** Whether to put it back at the next turn's end. */
  shouldYield(): boolean;
}

/** A dialogue as it is to be played. */
export interface RunnableDialogue {
  readonly request: DialogueRequest;
  /** Turns that are not sampled; committed before anything else. */
  readonly given: readonly Turn[];
  play(said: Required<Pick<DialogueRequest, "past" | "drafts">>, signal: AbortSignal): AsyncIterable<DialogueEvent>;
  /** More about how it came about. */
  readonly provenance: Json;
}

/** What became of it, and of the job as far as was seen. */
export interface RunResult {
  readonly outcome: "completed" | "failed" | "cancelled" | "put_back" | "left";
  readonly progress: JobProgress | null;
  readonly dialogue: Dialogue | null;
}

const left: RunResult = { outcome: "left", progress: null, dialogue: null };

/** After a full queue; it empties as fast as turns end. */
const queueFullDelayMs = 1000;
/** Failures elsewhere that the next try of the same turn may not meet; the model itself has tried as long as nothing was said. */
const passing: ReadonlySet<EngineErrorCode> = new Set([
  "upstream_failed",
  "upstream_timeout",
  "upstream_overloaded",
  "upstream_rate_limited",
]);
const maxAttemptsPerTurn = 4;

/** Plays a dialogue from its last committed turn. Throws LeaseLostError, and what the store throws. */
export async function runDialogue(
  lease: Lease,
  runnable: RunnableDialogue,
  context: RunContext,
  control: RunControl,
): Promise<RunResult> {
  return new DialogueRun(lease, runnable, context, control).run();
}

class DialogueRun {
  readonly #lease: Lease;
  readonly #runnable: RunnableDialogue;
  readonly #context: RunContext;
  readonly #control: RunControl;
  readonly #takenBack: number[] = [];
  #kept: StoredTurn[] = [];
  /** Finished after the last kept turn before this run began. */
  #drafts: readonly StoredTurn[] = [];
  #nextOrdinal = 0;
  #startedMs = 0;
  #firstTokenMs: number | null = null;

  constructor(lease: Lease, runnable: RunnableDialogue, context: RunContext, control: RunControl) {
    this.#lease = lease;
    this.#runnable = runnable;
    this.#context = context;
    this.#control = control;
  }

  async run(): Promise<RunResult> {
    await this.#restore();
    const { cancel, leave } = this.#control;
    const signal = AbortSignal.any([cancel, leave]);
    const events = this.#runnable.play({ past: this.#kept, drafts: this.#drafts }, signal)[Symbol.asyncIterator]();
    let dialogue: Dialogue | null = null;
    try {
      for (;;) {
        let step: IteratorResult<DialogueEvent, unknown>;
        try {
          step = await events.next();
        } catch (error) {
          // What comes from here is a model's failure; the store's are thrown below and are the runner's.
          return leave.aborted ? left : await this.#fail(error, dialogue);
        }
        if (leave.aborted) return left;
        if (step.done === true) break;
        if (step.value.type === "end") {
          dialogue = step.value.dialogue; // the loop goes on: a failure is thrown after it
          continue;
        }
        const result = await this.#take(step.value);
        if (result !== null) return result;
      }
    } finally {
      await events.return?.(undefined);
    }
    if (dialogue === null) throw new Error(`Dialogue '${this.#runnable.request.id}' was told without its end.`);
    const { stopReason, stoppedBy } = dialogue;
    const status = stopReason === "cancelled" ? "cancelled" : "completed";
    return this.#end({ status, stopReason, stoppedBy, error: null }, dialogue);
  }

  /** What was committed before; a new dialogue's given turns are committed now. */
  async #restore(): Promise<void> {
    const { database } = this.#context;
    const stored = await findDialogue(database, this.#lease.jobId, this.#lease.index);
    const turns = stored?.turns ?? [];
    this.#nextOrdinal = (turns.at(-1)?.ordinal ?? -1) + 1;
    this.#kept = turns.filter(({ isKept }) => isKept);
    this.#drafts = turns.slice(turns.findLastIndex(({ isKept }) => isKept) + 1);
    for (const given of this.#runnable.given.slice(turns.length)) {
      await this.#commit({ ...given, isKept: true, firstTokenMs: null, durationMs: null });
    }
  }

  /** Writes down what an event brings; a result ends the run. */
  async #take(event: Exclude<DialogueEvent, { type: "end" }>): Promise<RunResult | null> {
    const { hub } = this.#context;
    const { jobId, index: dialogueIndex } = this.#lease;
    switch (event.type) {
      case "turn_start":
        if (this.#control.shouldYield()) return this.#putBack(0);
        this.#startedMs = performance.now();
        this.#firstTokenMs = null;
        return null;
      case "token": {
        this.#firstTokenMs ??= performance.now() - this.#startedMs;
        const { role, turn, text } = event;
        if (hub.hasListeners(jobId)) {
          hub.tell(jobId, { dialogueIndex, ordinal: this.#nextOrdinal, role, turn, text });
        }
        return null;
      }
      case "turn_discarded": {
        const taken = this.#kept.findLast(({ role, turn }) => role === event.role && turn === event.turn);
        // Refused drafts were never kept.
        if (taken !== undefined && event.rejection === undefined) this.#takenBack.push(taken.ordinal);
        return null;
      }
      case "judged":
        return this.#takeVerdict(event);
      case "turn_end":
      default:
        return this.#takeTurn(event);
    }
  }

  async #takeTurn(event: Extract<DialogueEvent, { type: "turn_end" }>): Promise<RunResult | null> {
    const { role, turn, content, isKept, cause, seed, usage, tokenIds, choice, rejection } = event;
    // Its tokens first, for readers elsewhere: they drop what comes after its turn.
    await this.#context.hub.settle();
    const progress = await this.#commit({
      role,
      turn,
      content,
      isKept,
      origin: { cause, seed, usage, tokenIds, ...(choice === undefined ? {} : { choice }) },
      ...(rejection === undefined ? {} : { rejection }),
      firstTokenMs: this.#firstTokenMs,
      durationMs: performance.now() - this.#startedMs,
    });
    // A draft that was refused is followed by more: by its redraw or by the end.
    if (!isKept) return null;
    if (progress.isSpent) {
      const [last] = this.#kept.slice(-1);
      if (role === "user" && last !== undefined) this.#takenBack.push(last.ordinal);
      return this.#end({ status: "completed", stopReason: "budget", stoppedBy: null, error: null }, null);
    }
    return progress.status === "paused" || this.#control.shouldYield() ? this.#putBack(0) : null;
  }

  /** What the judge cost is written at once; whatever it said, the round before is whole. */
  async #takeVerdict({ judge, verdict, usage }: Verdict): Promise<RunResult | null> {
    const { database, leaseMs, priceOf } = this.#context;
    const { isSpent } = await commitVerdict(database, this.#lease, usage, priceOf(judge, usage), leaseMs);
    if (!isSpent || verdict === "stop") return null;
    return this.#end({ status: "completed", stopReason: "budget", stoppedBy: null, error: null }, null);
  }

  async #commit(turn: Omit<StoredTurn, "ordinal">): Promise<JobProgress> {
    const { database, hub, leaseMs, priceOf } = this.#context;
    const { origin } = turn;
    const paid = origin === null ? [] : [origin.usage, ...(origin.choice?.losers ?? []).map(({ usage }) => usage)];
    const modelId = this.#runnable.request[turn.role].model.info.id;
    const judge = origin?.choice?.judge ?? null;
    const judged = judge?.usage === undefined ? 0 : priceOf(judge.model, judge.usage);
    const money = paid.reduce((sum, usage) => sum + priceOf(modelId, usage), judged);
    const stored = { ...turn, ordinal: this.#nextOrdinal };
    const progress = await commitTurn(database, this.#lease, stored, money, leaseMs);
    this.#nextOrdinal += 1;
    if (turn.isKept) this.#kept.push(stored);
    hub.tell(this.#lease.jobId, null);
    return progress;
  }

  async #putBack(delayMs: number): Promise<RunResult> {
    await releaseDialogue(this.#context.database, this.#lease, delayMs);
    return { outcome: "put_back", progress: null, dialogue: null };
  }

  async #fail(error: unknown, dialogue: Dialogue | null): Promise<RunResult> {
    const code = error instanceof EngineError ? error.code : null;
    if (code === "queue_full") return this.#putBack(queueFullDelayMs);
    if (code === "draining") return this.#putBack(0);
    const stoppedBy = dialogue?.stoppedBy ?? null;
    if (this.#control.cancel.aborted) {
      return this.#end({ status: "cancelled", stopReason: "cancelled", stoppedBy, error: null }, dialogue);
    }
    if (error instanceof EngineError && passing.has(error.code)) {
      const delayMs = Math.max(queueFullDelayMs, error.detail.retryAfterMs ?? 0);
      const { database } = this.#context;
      if (await retryDialogue(database, this.#lease, delayMs, maxAttemptsPerTurn)) {
        return { outcome: "put_back", progress: null, dialogue: null };
      }
    }
    const reason = error instanceof Error ? error.message : String(error);
    return this.#end({ status: "failed", stopReason: "error", stoppedBy, error: reason }, dialogue);
  }

  async #end(end: Omit<DialogueEnd, "record" | "takenBack">, dialogue: Dialogue | null): Promise<RunResult> {
    const { database, hub, owner, versions } = this.#context;
    const { request, provenance } = this.#runnable;
    const record = { ...recordOf(request, dialogue), ...provenance, versions, gateway: owner };
    const progress = await endDialogue(database, this.#lease, { ...end, record, takenBack: this.#takenBack });
    hub.tell(this.#lease.jobId, null);
    return { outcome: end.status, progress, dialogue };
  }
}
