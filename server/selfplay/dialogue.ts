// Owns the loop in which two models talk: whose turn it is, what is kept, what is taken back, and when it ends.
// Two ChatModels and nothing else: no HTTP, no store, no clock. It is pulled: the next turn begins when the reader has taken the
// last one, so a reader that writes turns down has each one safe before the next exists.
import type { ChatEvent, StopCause } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import { closeCourse, countTurn, openCourse, type Course, type Stop } from "./course.ts";
import type { Choice, DialogueEvent, DialogueRequest, Turn } from "./dialogue-types.ts";
import { type HouseRules, type Player, plainRules } from "./player.ts";
import { turnSeed } from "./seeds.ts";
import type { SpokenTurn } from "./side.ts";

/** A finished turn, not yet accepted: with its sampled ids for the side that said it, as recorded for everyone else. */
interface Draft {
  readonly spoken: SpokenTurn;
  readonly turn: Turn;
  /** Why it may not stand; null when it may. */
  readonly refusal: Stop | null;
}

/**
 * Plays one dialogue and tells it as events, `end` last. Leaving the loop early or aborting the signal cancels the model at work;
 * both sessions are ended in every case, before `end` is told. A failure before the first event is thrown and nothing is told; a
 * later one is thrown after the `end` event, which holds the rounds finished until then. An abort is not thrown: the dialogue
 * ends as `cancelled`.
 */
export async function* playDialogue(
  request: DialogueRequest,
  signal: AbortSignal,
  rules: HouseRules = plainRules,
): AsyncGenerator<DialogueEvent, void> {
  const course = openCourse(request, rules);
  let stop: Stop;
  let failure: unknown = null;
  try {
    stop = yield* playRounds(course, signal);
  } catch (error) {
    stop = stopForError(course, error, signal);
    if (stop.reason === "error") failure = error;
  } finally {
    course.sides.user.end();
    course.sides.assistant.end();
  }
  if (failure !== null && !course.hasBegun) throw failure;
  if (course.question !== null) yield discard(course, course.question);
  yield { type: "end", dialogue: closeCourse(course, stop) };
  if (failure !== null) throw failure;
}

async function* playRounds(course: Course, signal: AbortSignal): AsyncGenerator<DialogueEvent, Stop> {
  const { user, assistant } = course.sides;
  const lastRound = course.request.maxTurns ?? Number.POSITIVE_INFINITY;
  if (course.hasBegun && course.question === null && course.drafts.length === 0) {
    // A dialogue that goes on may have been about to end; one in the middle of its next question was not.
    const stop = yield* afterRound(course, signal);
    if (stop !== null) return stop;
  }
  for (let round = course.turns.length / 2 + 1; round <= lastRound; round += 1) {
    if (course.question === null) {
      const { draft: question, stop: questionStop } = yield* ask(course, round, signal);
      if (questionStop !== null) {
        yield discard(course, question.turn);
        return questionStop;
      }
      user.keep(question.spoken);
      assistant.hear("user", question.turn.content);
      course.question = question.turn;
    }
    const { question } = course;

    const answer = yield* speak(course, assistant, { round, draw: 0 }, signal);
    if (answer.refusal !== null) {
      yield discard(course, question);
      yield discard(course, answer.turn);
      return answer.refusal;
    }
    assistant.keep(answer.spoken);
    user.hear("assistant", answer.turn.content);
    course.turns.push(question, answer.turn);
    course.question = null;

    const stop = yield* afterRound(course, signal);
    if (stop !== null) return stop;
  }
  return { reason: "max_turns", by: null };
}

/** Whether the round just finished was the last. */
async function* afterRound(course: Course, signal: AbortSignal): AsyncGenerator<DialogueEvent, Stop | null> {
  const { turns, rules } = course;
  // Words before an end of conversation are a last turn; a question so ended still gets its answer.
  const closer = turns.slice(-2).find(({ origin }) => origin?.cause === "end_of_conversation");
  if (closer !== undefined && rules.hasEndToken) return { reason: "end_token", by: closer.role };
  const { stop, verdict } = await rules.afterRound(course, turns, signal);
  if (verdict !== null) yield { type: "judged", turn: turns.at(-1)?.turn ?? 0, ...verdict };
  return stop;
}

/** The user's next question: drawn anew while the rules object, as often as they allow. */
async function* ask(
  course: Course,
  round: number,
  signal: AbortSignal,
): AsyncGenerator<DialogueEvent, { readonly draft: Draft; readonly stop: Stop | null }> {
  const { sides, rules } = course;
  for (let draw = 0; ; draw += 1) {
    const draft = yield* speak(course, sides.user, { round, draw }, signal);
    if (draft.turn.rejection === undefined) return { draft, stop: draft.refusal };
    if (draw >= rules.redraws) return { draft, stop: { reason: "guardrails_exhausted", by: "user" } };
    yield discard(course, draft.turn);
  }
}

/** Which draw of which round. */
interface Draw {
  readonly round: number;
  readonly draw: number;
}

/** Lets a side say its next turn, told as it comes; a draft from before a resumption was told then. */
async function* speak(
  course: Course,
  side: Player,
  { round, draw }: Draw,
  signal: AbortSignal,
): AsyncGenerator<DialogueEvent, Draft> {
  const { role } = side;
  course.speaker = role;
  signal.throwIfAborted();
  const said = course.drafts.shift();
  if (said !== undefined) return recall(course, role, said);
  const { seed: rootSeed, dialogueIndex } = course.request;
  const seed = turnSeed(rootSeed, { dialogueIndex, turn: round, role, draw });
  const mustSpeak = (role === "user" && round === 1) || !course.rules.hasEndToken;
  let choice: Choice | null = null;
  let text = "";
  let hasStarted = false;
  let end: Extract<ChatEvent, { type: "end" }> | null = null;
  for await (const event of side.speak({ seed, mustSpeak }, signal)) {
    if (!hasStarted) {
      hasStarted = true;
      course.hasBegun = true;
      yield { type: "turn_start", role, turn: round };
    }
    if (event.type === "text") {
      text += event.text;
      yield { type: "token", role, turn: round, text: event.text };
    } else if (event.type === "choice") {
      choice = event.choice;
    } else if (event.type === "end") {
      end = event; // the loop goes on: leaving it now would read as a cancellation
    }
  }
  if (end === null) throw new Error(`Model '${side.modelId}' stopped in the middle of a turn without saying why.`);
  const { cause, usage, tokenIds } = end;
  const content = role === "user" ? text.trim() : text;
  const origin = { cause, seed, usage, tokenIds, ...(choice === null ? {} : { choice }) };
  countTurn(course, role, origin);
  const rejection = objectionTo(course, role, content, cause);
  const turn = { role, turn: round, content, origin, ...rejection };
  const stop = refusal(turn, cause);
  const isKept = stop === null && turn.rejection === undefined;
  yield { type: "turn_end", role, turn: round, content, isKept, ...origin, ...rejection };
  return { spoken: { text: content, cause, tokenIds }, turn, refusal: stop };
}

/** A finished draft as it was when it was told. */
function recall(course: Course, role: Turn["role"], turn: Turn): Draft {
  const { origin, content } = turn;
  if (origin === null || turn.role !== role) {
    throw new Error(
      `Dialogue '${course.request.id}' has a draft out of its place: the ${turn.role}'s turn ${turn.turn}.`,
    );
  }
  const { cause, tokenIds } = origin;
  countTurn(course, role, origin);
  return { spoken: { text: content, cause, tokenIds }, turn, refusal: refusal(turn, cause) };
}

/** What the rules have against a question, unless it ends the dialogue anyway. */
function objectionTo(course: Course, role: Turn["role"], content: string, cause: StopCause): { rejection?: string } {
  const isLast = cause === "window" || (cause === "end_of_conversation" && content === "");
  const rejection = role === "assistant" || isLast ? null : course.rules.objection(content, course);
  return rejection === null ? {} : { rejection };
}

/** Why a finished turn may not stand, or null when it may. */
function refusal({ role: by, content }: Turn, cause: StopCause): Stop | null {
  if (cause === "window") return { reason: "window", by };
  if (content.trim() !== "") return null;
  return { reason: cause === "end_of_conversation" ? "end_token" : "empty_turn", by };
}

function stopForError(course: Course, error: unknown, signal: AbortSignal): Stop {
  if (signal.aborted) return { reason: "cancelled", by: null };
  const by = course.speaker;
  const isOverflow = error instanceof EngineError && error.code === "context_length_exceeded";
  // The very first prompt of a free dialogue holds nothing but what the request brought: the request is at fault, no rule struck.
  const isUnplayable = !course.hasBegun && course.turns.length === 0 && course.question === null;
  return { reason: isOverflow && !isUnplayable ? "window" : "error", by };
}

function discard(course: Course, turn: Turn): DialogueEvent {
  course.discarded.push(turn);
  if (course.question === turn) course.question = null;
  const { role, rejection } = turn;
  return { type: "turn_discarded", role, turn: turn.turn, ...(rejection === undefined ? {} : { rejection }) };
}
