// What is asked for when two models are to talk, the dialogue that comes of it, and the events in which it is told while it grows.
// Types only. It knows neither HTTP nor stores: routes, the terminal and jobs read these same events.
import type { ChatUsage, ModelInfo, ModelRole, StopCause } from "../../runtime/chat-model.ts";
import type { SideSetup } from "./side.ts";

/**
 * Why a dialogue ended.
 * `window`: a side's context window is full. `max_turns`: as many rounds as asked for. `end_token`: a side ended the conversation.
 * `empty_turn`: a side said nothing. `seed_too_long`: no round fits after the seed. `cancelled`: the caller's signal.
 * `guardrails_exhausted`: no question of as many as may be drawn passed the guard-rails. `judge`: a judge saw it run its course.
 * `budget`: as many tokens as it may cost. `error`: a model failed.
 */
export type StopReason =
  | "window"
  | "max_turns"
  | "end_token"
  | "empty_turn"
  | "guardrails_exhausted"
  | "seed_too_long"
  | "judge"
  | "budget"
  | "cancelled"
  | "error";

/** One question and its answer, given rather than sampled. */
export interface SeedRound {
  readonly user: string;
  readonly assistant: string;
}

export interface DialogueRequest {
  /** Unique among the dialogues in play: the models' sessions are named after it. */
  readonly id: string;
  /** Root of every turn's seed. */
  readonly seed: number;
  /** Which of the dialogues that share this seed it is, from 0. */
  readonly dialogueIndex: number;
  readonly user: SideSetup;
  readonly assistant: SideSetup;
  /** Empty for a free dialogue. */
  readonly seedRounds: readonly SeedRound[];
  /** Most rounds, those of the seed included; null leaves the end to the other rules. */
  readonly maxTurns: number | null;
  /**
   * Turns of this dialogue that were kept before, those of the seed included, in order; it goes on after them. The last may be a
   * question without its answer. Absent or empty for a new dialogue.
   */
  readonly past?: readonly Turn[];
  /** Finished turns after those that were not kept, in order: they are not sampled again. */
  readonly drafts?: readonly Turn[];
}

/** How a turn came out of its model. */
export interface TurnOrigin {
  readonly cause: StopCause;
  readonly seed: number;
  readonly usage: ChatUsage;
  /** The sampled ids, without a final end token; empty when the model reports none. */
  readonly tokenIds: readonly number[];
  /** Present when the turn was picked from several. */
  readonly choice?: Choice;
}

/** How a turn was picked from several: the pairs of the one that stays with each of the others are preferences. */
export interface Choice {
  /** Index of the sample that stays. */
  readonly picked: number;
  /** `judge`: as it said. `only`: no other could stand. `fallback`: the judge could not be read, so the first stays. */
  readonly pickedBy: "judge" | "only" | "fallback";
  readonly losers: readonly Loser[];
  /** null when nobody was asked; older records do not say what it cost. */
  readonly judge: {
    readonly model: string;
    readonly promptHash: string;
    readonly reply: string;
    readonly usage?: ChatUsage;
  } | null;
}

/** A sample that did not stay. */
export interface Loser {
  readonly choiceIndex: number;
  readonly content: string;
  readonly cause: StopCause;
  readonly usage: ChatUsage;
  readonly tokenIds: readonly number[];
}

export interface Turn {
  readonly role: ModelRole;
  /** The round, from 1; a question and its answer share it. */
  readonly turn: number;
  /** As it goes into data: a question is trimmed, an answer is left as it came. */
  readonly content: string;
  /** null for a turn of the seed. */
  readonly origin: TurnOrigin | null;
  /** Why guard-rails refused it; such a turn is only ever discarded. */
  readonly rejection?: string;
}

/** Sums over every finished turn of one side, discarded ones included: what the dialogue cost. */
export interface SideUsage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Prompt tokens that were not in the cache and had to be computed. */
  readonly prefilledTokens: number;
  readonly completionTokens: number;
}

/** Who played a side, and how it was told to. */
export interface SideRecord extends Omit<SideSetup, "model"> {
  readonly model: ModelInfo;
}

export interface Dialogue {
  readonly id: string;
  readonly seed: number;
  readonly dialogueIndex: number;
  /** Whole rounds only, those of the seed first; always ends on an assistant turn. */
  readonly turns: readonly Turn[];
  /** Finished turns that a stop rule took back, in the order they were said. */
  readonly discarded: readonly Turn[];
  readonly stopReason: StopReason;
  /** The side at which the rule struck; null when it concerns neither. */
  readonly stoppedBy: ModelRole | null;
  readonly usage: Readonly<Record<ModelRole, SideUsage>>;
  readonly sides: Readonly<Record<ModelRole, SideRecord>>;
}

/** What a judge said after a round, and what asking it cost. */
export interface Verdict {
  /** Its model. */
  readonly judge: string;
  readonly verdict: "stop" | "continue" | null;
  readonly usage: ChatUsage;
}

export type DialogueEvent =
  /** The prompt is in the cache and the first token is about to come. */
  | { readonly type: "turn_start"; readonly role: ModelRole; readonly turn: number }
  /** Whole characters, as sampled. */
  | { readonly type: "token"; readonly role: ModelRole; readonly turn: number; readonly text: string }
  /** Once for every started turn, unless its model failed or the dialogue was cancelled. */
  | {
      readonly type: "turn_end";
      readonly role: ModelRole;
      readonly turn: number;
      readonly content: string;
      /** false: a rule has struck at it already, and `turn_discarded` follows. */
      readonly isKept: boolean;
      readonly cause: StopCause;
      readonly seed: number;
      readonly usage: ChatUsage;
      readonly tokenIds: readonly number[];
      readonly choice?: Choice;
      /** Why guard-rails refuse it; it is then discarded at once. */
      readonly rejection?: string;
    }
  /** A finished turn that will not be part of the dialogue. */
  | { readonly type: "turn_discarded"; readonly role: ModelRole; readonly turn: number; readonly rejection?: string }
  /** A judge was asked whether the dialogue has run its course after round `turn`; null when its replies could not be read. */
  | ({ readonly type: "judged"; readonly turn: number } & Verdict)
  /** Last. */
  | { readonly type: "end"; readonly dialogue: Dialogue };
