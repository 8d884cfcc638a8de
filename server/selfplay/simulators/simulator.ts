// What a simulator is: one way in which the user's side of a dialogue comes about.
// Types only. Strategies, jobs and routes share them; none of them shows here.
import type { JudgeSetup } from "../../../training/judge/ask.ts";
import type { DialogueEvent, DialogueRequest, Turn } from "../dialogue-types.ts";

export type SimulatorName = "learned" | "selfchat" | "roleplay" | "prequery";

/**
 * How a simulator goes about it.
 * `free`, `seeded`, `intent`, `profile`: the learned simulator. `transcript`, `turnwise`: self-chat.
 * `free` also stands for role-play and pre-query, which go about it in one way only.
 */
export type SimulationMode = "free" | "seeded" | "intent" | "profile" | "transcript" | "turnwise";

/** One item of a seed set: a text that starts a dialogue. What the text is, a question, an intent, a topic, the mode decides. */
export interface SeedItem {
  /** As its file calls it; else the number of its row. */
  readonly id: string;
  /** Of its file, from 1. */
  readonly row: number;
  /** The stratum it is sampled in; null where its file knows none. */
  readonly category: string | null;
  readonly prompt: string;
  /** null when the assistant is to answer anew. */
  readonly answer: string | null;
}

/** What a user's turn must hold to; a turn that does not is drawn anew. */
export interface Guardrails {
  /** Words a turn may not begin with; case counts. */
  readonly bannedFirstWords: readonly string[];
  /** Fewest words; null leaves it open. */
  readonly minWords: number | null;
  /** Most words; null leaves it open. */
  readonly maxWords: number | null;
  /** Refuses a turn that says again what an earlier user turn, or the intent, said word for word. */
  readonly hasRepeatCheck: boolean;
  /** Refuses a turn that shows reasoning, role labels or an assistant talking about itself. */
  readonly hasLeakCheck: boolean;
  /** Refuses a turn without words, unless it ends the conversation. */
  readonly hasEmptyCheck: boolean;
  /** Refuses a turn that is nothing but thanks and courtesy. */
  readonly hasPolitenessCheck: boolean;
  /** How often one turn may be drawn anew before the dialogue ends. */
  readonly redraws: number;
}

/** Answers are sampled several times and a judge picks the one that stays. */
export interface BestOf {
  /** At least 2. */
  readonly count: number;
  readonly judge: JudgeSetup;
}

/** When a dialogue ends, besides full windows and its most rounds. */
export interface StopRules {
  /** Whether a side may end the conversation by its end-of-conversation token. */
  readonly hasEndToken: boolean;
  /** Asked after every round from `fromTurn` on whether the conversation has run its course; null asks nobody. */
  readonly judge: (JudgeSetup & { readonly fromTurn: number }) | null;
  /** Most tokens sampled by both sides together, checked between rounds; null leaves it open. */
  readonly maxDialogueTokens: number | null;
  /** Rounds are drawn between these two by the dialogue's seed; null leaves it to `maxTurns`. */
  readonly turnRange: { readonly min: number; readonly max: number } | null;
}

/** A dialogue and everything that bears on how its user side comes about. */
export interface SimulatedDialogueRequest extends DialogueRequest {
  readonly mode: SimulationMode;
  /** null for a free dialogue, and where intent or profile stand in the user's system message already. */
  readonly seedItem: SeedItem | null;
  /** null lets every turn stand. */
  readonly guardrails: Guardrails | null;
  /** null samples one answer. */
  readonly bestOf: BestOf | null;
  readonly stopRules: StopRules;
  /** Turns of this dialogue that were committed before, the seed's included, in order; it goes on after them. Empty for a new one. */
  readonly past: readonly Turn[];
}

/** How the user's side of a dialogue comes about. One strategy per file. */
export interface Simulator {
  readonly name: SimulatorName;
  /** Plays one dialogue; events and stop reasons as playDialogue's; `past` resumes after committed turns. */
  play(request: SimulatedDialogueRequest, signal: AbortSignal): AsyncGenerator<DialogueEvent, void>;
}
