// Owns what has happened so far in one dialogue, and turns it into the finished record.
// It does not know the rules: the loop decides what is kept and what is taken back.
import type { ChatUsage, ModelRole } from "../../runtime/chat-model.ts";
import type { Dialogue, DialogueRequest, SideUsage, StopReason, Turn, TurnOrigin } from "./dialogue-types.ts";
import type { HouseRules, Player } from "./player.ts";

/** Why a dialogue ended; the side is null when the rule concerns neither. */
export interface Stop {
  readonly reason: StopReason;
  readonly by: ModelRole | null;
}

export interface Course {
  readonly request: DialogueRequest;
  readonly rules: HouseRules;
  readonly sides: Readonly<Record<ModelRole, Player>>;
  /** Whole rounds. */
  readonly turns: Turn[];
  readonly discarded: Turn[];
  /** Finished before a resumption and still to be looked at, in order. */
  readonly drafts: Turn[];
  readonly usage: Record<ModelRole, SideUsage>;
  /** Asked and not yet answered. */
  question: Turn | null;
  /** The side whose model is, or was last, at work. */
  speaker: ModelRole;
  /** Whether any event has been told. */
  hasBegun: boolean;
}

const NO_USAGE: SideUsage = { promptTokens: 0, cachedTokens: 0, prefilledTokens: 0, completionTokens: 0 };

/** A dialogue before its next sampled turn: both sides know the rounds of the seed, or everything that was said before. */
export function openCourse(request: DialogueRequest, rules: HouseRules): Course {
  const { id, past = [], drafts = [] } = request;
  const sides = {
    user: rules.openPlayer("user", request.user, id),
    assistant: rules.openPlayer("assistant", request.assistant, id),
  };
  const course: Course = {
    request,
    rules,
    sides,
    turns: [],
    discarded: [],
    drafts: [...drafts],
    usage: { user: NO_USAGE, assistant: NO_USAGE },
    question: null,
    speaker: "user",
    hasBegun: drafts.length > 0 || past.some(({ origin }) => origin !== null),
  };
  for (const turn of past.length > 0 ? past : seedTurns(request)) remember(course, turn);
  return course;
}

/** The turns that a dialogue begins with when nothing was said yet. */
function seedTurns({ seedRounds }: Pick<DialogueRequest, "seedRounds">): Turn[] {
  const roles = ["user", "assistant"] as const;
  return seedRounds.flatMap((round, index) =>
    roles.map((role) => ({ role, turn: index + 1, content: round[role], origin: null })),
  );
}

function remember(course: Course, turn: Turn): void {
  const { role, content, origin } = turn;
  const { user, assistant } = course.sides;
  const [speaker, listener] = role === "user" ? [user, assistant] : [assistant, user];
  if (origin === null) speaker.hear(role, content);
  else speaker.keep({ text: content, cause: origin.cause, tokenIds: origin.tokenIds });
  listener.hear(role, content);
  if (origin !== null) countTurn(course, role, origin);
  if (role === "user") {
    course.question = turn;
  } else {
    if (course.question === null)
      throw new Error(`Dialogue '${course.request.id}' has an answer without its question.`);
    course.turns.push(course.question, turn);
    course.question = null;
  }
}

/** Adds what one finished turn of a side cost, with the samples that it was picked from. */
export function countTurn(course: Course, role: ModelRole, { usage, choice }: TurnOrigin): void {
  for (const sample of [usage, ...(choice?.losers ?? []).map((loser) => loser.usage)]) addUsage(course, role, sample);
}

function addUsage(course: Course, role: ModelRole, turn: ChatUsage): void {
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
  const { id, seed, dialogueIndex, user, assistant, seedRounds, past = [] } = request;
  const hasSeed = seedRounds.length > 0 || past.some(({ origin }) => origin === null);
  const hasAddedNothing = hasSeed && turns.every(({ origin }) => origin === null);
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
