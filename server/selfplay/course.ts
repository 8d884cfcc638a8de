// Owns what has happened so far in one dialogue, and turns it into the finished record.
// It does not know the rules: the loop decides what is kept and what is taken back.
import type { ChatUsage, ModelRole } from "../../runtime/chat-model.ts";
import type { Dialogue, DialogueRequest, SideUsage, StopReason, Turn } from "./dialogue-types.ts";
import { Side } from "./side.ts";

/** Why a dialogue ended; the side is null when the rule concerns neither. */
export interface Stop {
  readonly reason: StopReason;
  readonly by: ModelRole | null;
}

export interface Course {
  readonly request: DialogueRequest;
  readonly sides: Readonly<Record<ModelRole, Side>>;
  /** Whole rounds. */
  readonly turns: Turn[];
  readonly discarded: Turn[];
  readonly usage: Record<ModelRole, SideUsage>;
  /** Asked and not yet answered. */
  question: Turn | null;
  /** The side whose model is, or was last, at work. */
  speaker: ModelRole;
  /** Whether any event has been told. */
  hasBegun: boolean;
}

const NO_USAGE: SideUsage = { promptTokens: 0, cachedTokens: 0, prefilledTokens: 0, completionTokens: 0 };

/** A dialogue before its first sampled turn: both sides know the rounds of the seed. */
export function openCourse(request: DialogueRequest): Course {
  const { id, seedRounds } = request;
  const user = new Side("user", request.user, id);
  const assistant = new Side("assistant", request.assistant, id);
  const turns: Turn[] = [];
  for (const [index, round] of seedRounds.entries()) {
    for (const role of ["user", "assistant"] as const) {
      turns.push({ role, turn: index + 1, content: round[role], origin: null });
      user.hear(role, round[role]);
      assistant.hear(role, round[role]);
    }
  }
  return {
    request,
    sides: { user, assistant },
    turns,
    discarded: [],
    usage: { user: NO_USAGE, assistant: NO_USAGE },
    question: null,
    speaker: "user",
    hasBegun: false,
  };
}

/** Adds what one finished turn of a side cost. */
export function countUsage(course: Course, role: ModelRole, turn: ChatUsage): void {
  const sum = course.usage[role];
  course.usage[role] = {
    promptTokens: sum.promptTokens + turn.promptTokens,
    cachedTokens: sum.cachedTokens + turn.cachedTokens,
    prefilledTokens: sum.prefilledTokens + turn.promptTokens - turn.cachedTokens,
    completionTokens: sum.completionTokens + turn.completionTokens,
  };
}

/** The dialogue as it is handed on. */
export function closeCourse(course: Course, stop: Stop): Dialogue {
  const { request, turns, discarded, usage } = course;
  const { id, seed, dialogueIndex, user, assistant, seedRounds } = request;
  const hasAddedNothing = seedRounds.length > 0 && turns.length === 2 * seedRounds.length;
  return {
    id,
    seed,
    dialogueIndex,
    turns,
    discarded,
    stopReason: stop.reason === "window" && hasAddedNothing ? "seed_too_long" : stop.reason,
    stoppedBy: stop.by,
    usage,
    sides: {
      user: { ...user, model: user.model.info },
      assistant: { ...assistant, model: assistant.model.info },
    },
  };
}
