// Owns the loop in which two models talk: whose turn it is, what is kept, what is taken back, and when it ends.
// Two ChatModels and nothing else: no HTTP, no store, no clock. It is pulled: the next turn begins when the reader has taken the
// last one, so a reader that writes turns down has each one safe before the next exists.
import type { ChatEvent } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import { closeCourse, countUsage, openCourse, type Course, type Stop } from "./course.ts";
import type { DialogueEvent, DialogueRequest, Turn } from "./dialogue-types.ts";
import { turnSeed } from "./seeds.ts";
import type { Side, SpokenTurn } from "./side.ts";

/** A finished turn, not yet accepted: as sampled for the side that said it, as recorded for everyone else. */
interface Draft {
  readonly spoken: SpokenTurn;
  readonly turn: Turn;
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
): AsyncGenerator<DialogueEvent, void> {
  const course = openCourse(request);
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
  const { seedRounds, maxTurns } = course.request;
  const { user, assistant } = course.sides;
  const lastRound = maxTurns ?? Number.POSITIVE_INFINITY;
  for (let round = seedRounds.length + 1; round <= lastRound; round += 1) {
    const question = yield* speak(course, user, round, signal);
    const questionStop = refusal(question);
    if (questionStop !== null) {
      yield discard(course, question.turn);
      return questionStop;
    }
    user.keep(question.spoken);
    assistant.hear("user", question.turn.content);
    course.question = question.turn;

    const answer = yield* speak(course, assistant, round, signal);
    const answerStop = refusal(answer);
    if (answerStop !== null) {
      yield discard(course, question.turn);
      yield discard(course, answer.turn);
      return answerStop;
    }
    assistant.keep(answer.spoken);
    user.hear("assistant", answer.turn.content);
    course.turns.push(question.turn, answer.turn);
    course.question = null;

    // Words before an end of conversation are a last turn; a question so ended still gets its answer.
    const closer = [question, answer].find((draft) => draft.spoken.cause === "end_of_conversation");
    if (closer !== undefined) return { reason: "end_token", by: closer.turn.role };
  }
  return { reason: "max_turns", by: null };
}

/** Lets a side say its next turn, told as it comes. */
async function* speak(
  course: Course,
  side: Side,
  round: number,
  signal: AbortSignal,
): AsyncGenerator<DialogueEvent, Draft> {
  const { role } = side;
  course.speaker = role;
  signal.throwIfAborted();
  const { seed: rootSeed, dialogueIndex } = course.request;
  const seed = turnSeed(rootSeed, { dialogueIndex, turn: round, role });
  const mustSpeak = role === "user" && round === 1;
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
    } else if (event.type === "end") {
      end = event; // the loop goes on: leaving it now would read as a cancellation
    }
  }
  if (end === null) throw new Error(`Model '${side.modelId}' stopped in the middle of a turn without saying why.`);
  const { cause, usage, tokenIds } = end;
  const content = role === "user" ? text.trim() : text;
  const origin = { cause, seed, usage, tokenIds };
  countUsage(course, role, usage);
  yield { type: "turn_end", role, turn: round, content, ...origin };
  return { spoken: { text, cause, tokenIds }, turn: { role, turn: round, content, origin } };
}

/** Why a finished turn may not stand, or null when it may. */
function refusal(draft: Draft): Stop | null {
  const { cause } = draft.spoken;
  const by = draft.turn.role;
  if (cause === "window") return { reason: "window", by };
  if (draft.turn.content.trim() !== "") return null;
  return { reason: cause === "end_of_conversation" ? "end_token" : "empty_turn", by };
}

function stopForError(course: Course, error: unknown, signal: AbortSignal): Stop {
  if (signal.aborted) return { reason: "cancelled", by: null };
  const by = course.speaker;
  const isOverflow = error instanceof EngineError && error.code === "context_length_exceeded";
  // The very first prompt of a free dialogue holds nothing but what the request brought: the request is at fault, no rule struck.
  const isUnplayable = !course.hasBegun && course.request.seedRounds.length === 0;
  return { reason: isOverflow && !isUnplayable ? "window" : "error", by };
}

function discard(course: Course, turn: Turn): DialogueEvent {
  course.discarded.push(turn);
  if (course.question === turn) course.question = null;
  return { type: "turn_discarded", role: turn.role, turn: turn.turn };
}
