// What stands in the store about loops, as the rest of the program sees it.
// Times are Unix milliseconds of the database's clock.
import type { ModelRole } from "../../runtime/chat-model.ts";

export const loopTables = { jobs: "loops", events: "loop_events" } as const;

export type LoopStatus = "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";

/** Those that may still change. */
export const openStatuses: readonly LoopStatus[] = ["queued", "running", "paused"];

/** A model as it was when the loop was created, or when it was accepted. */
interface LoopModel {
  readonly id: string;
  /** Of its manifest; null where the loop itself made it. */
  readonly hash: string | null;
}

export type LoopModels = Readonly<Record<ModelRole, LoopModel>>;

/** What the request came to: flags of `npm run loop`, and fields of the request for its self-play jobs. */
export interface LoopPlan {
  /** The request, for whoever asks for the loop. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly arguments: readonly string[];
  readonly selfplay: Readonly<Record<string, unknown>>;
  /** Who played the first round. */
  readonly begins: LoopModels;
}

export interface NewLoop {
  readonly id: string;
  /** In the ids of accepted models. */
  readonly name: string;
  readonly rounds: number;
  readonly heldoutFiles: readonly string[];
  readonly plan: LoopPlan;
  readonly metadata: Readonly<Record<string, string>> | null;
}

export interface StoredLoop extends NewLoop {
  readonly status: LoopStatus;
  /** Who plays now, or would play next. */
  readonly models: LoopModels;
  /** The round that runs, or ran last; 0 before the first. */
  readonly round: number;
  readonly step: string | null;
  /** Of the step, in words. */
  readonly progress: string | null;
  /** Of the round that runs. */
  readonly selfplayJob: string | null;
  readonly error: string | null;
  readonly lastEvent: number;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
}

export interface NewRound {
  readonly round: number;
  /** Ids of the models that were accepted. */
  readonly accepted: readonly string[];
  /** Who plays next. */
  readonly user: string;
  readonly assistant: string;
  readonly reports: Readonly<Record<ReportKind, string>>;
}

export interface StoredRound {
  readonly round: number;
  readonly accepted: readonly string[];
  readonly endedAtMs: number;
}

export type ReportKind = "json" | "markdown" | "html";

/** What metrics ask about loops. */
export interface LoopFigures {
  /** How many loops of the store stand how; empty while no store is open, and where it cannot be asked. */
  counts(): Promise<ReadonlyMap<LoopStatus, number>>;
}

/** Whether a loop's status will not change any more. */
export const hasEnded = (status: LoopStatus) => !openStatuses.includes(status);
