// What the loop asks of whoever speaks for a side, and the house rules it plays by.
// Types and the plainest choice of each. Side is the ordinary player; simulators bring others. It knows no strategy.
import type { ChatEvent, ModelRole } from "../../runtime/chat-model.ts";
import type { Course, Stop } from "./course.ts";
import type { Choice, Turn, Verdict } from "./dialogue-types.ts";
import { Side, type SideSetup, type SpeakOptions, type SpokenTurn } from "./side.ts";

/** What a player tells while it speaks: a model's events, and before `end` how the turn was chosen, if there was a choice. */
export type PlayerEvent = ChatEvent | { readonly type: "choice"; readonly choice: Choice };

/** Speaks for one side and remembers what was said. A spoken turn is a draft: forgotten unless `keep` is called with it. */
export interface Player {
  readonly role: ModelRole;
  readonly modelId: string;
  speak(options: SpeakOptions, signal: AbortSignal): AsyncIterable<PlayerEvent>;
  /** Makes a turn that it spoke part of its past. */
  keep(turn: SpokenTurn): void;
  /** Takes over a turn that it did not speak. */
  hear(role: ModelRole, content: string): void;
  /** Gives back what its model kept for it. */
  end(): void;
}

/** What a whole round leads to. */
export interface RoundEnd {
  readonly stop: Stop | null;
  /** null when no judge was asked. */
  readonly verdict: Verdict | null;
}

/** Who plays, and what besides windows and the most rounds ends a dialogue. */
export interface HouseRules {
  openPlayer(role: ModelRole, setup: SideSetup, dialogueId: string): Player;
  /** Why a question may not stand, in one word; null when it may. */
  objection(question: string, course: Course): string | null;
  /** How often one question may be drawn anew. */
  readonly redraws: number;
  /** Whether a side may end the conversation by its end-of-conversation token. */
  readonly hasEndToken: boolean;
  /** Asked when a round is whole, those before a resumption included. */
  afterRound(course: Course, turns: readonly Turn[], signal: AbortSignal): Promise<RoundEnd>;
}

/** Two models, and no rule but the loop's own. */
export const plainRules: HouseRules = {
  openPlayer: (role, setup, dialogueId) => new Side(role, setup, dialogueId),
  objection: () => null,
  redraws: 0,
  hasEndToken: true,
  afterRound: async () => ({ stop: null, verdict: null }),
};
