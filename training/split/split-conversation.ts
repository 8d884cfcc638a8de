// Owns making segments of a conversation that a window does not hold: cuts, ids, repeated answers as context.
// Tokens are counted only where a bound does not decide. Where the cuts go is segments.ts's.
import type { Conversation, Utterance } from "../conversation.ts";
import { type Segment, type SplitRule, splitSession } from "./segments.ts";
import type { TokenCounter } from "./token-counter.ts";

export interface SplitOptions {
  readonly rule: SplitRule;
  /** The window: a whole rendering may have that many tokens. */
  readonly maxTokens: number;
  /** Whose system message counts. */
  readonly role: "user" | "assistant";
}

export interface SplitResult {
  readonly segments: readonly Conversation[];
  /** Turns that are in no segment. */
  readonly leftOutTurns: number;
  /** Segments whose rendering the window does not hold. */
  readonly overlongSegments: number;
}

/** Cuts a conversation into segments that end with an answer; without a counter it is one segment. */
export function splitConversation(
  conversation: Conversation,
  counter: TokenCounter | null,
  { rule, maxTokens, role }: SplitOptions,
): SplitResult {
  const { utterances } = conversation;
  const frame = counter?.frame(conversation.system[role]) ?? 0;
  const isOver = counter === null ? () => false : createIsOver(utterances, counter);
  // The paper's rule does not count what is around the utterances.
  const limit = rule === "paper" ? maxTokens : maxTokens - frame;
  const roles = utterances.map((utterance) => utterance.role);
  const cuts = splitSession(rule, roles, (from, to) => isOver(from, to, limit));
  return {
    segments: cuts.map((cut) => toSegment(conversation, cut)),
    leftOutTurns: leftOut(utterances.length, cuts),
    overlongSegments: cuts.filter(({ from, to }) => isOver(from, to, maxTokens - frame)).length,
  };
}

/** Compares sums of lengths with a limit, and counts exactly only what the bounds leave open. */
function createIsOver(
  utterances: readonly Utterance[],
  counter: TokenCounter,
): (from: number, to: number, limit: number) => boolean {
  const exact: (number | undefined)[] = [];
  const atMost: (number | undefined)[] = [];
  const most = (index: number): number => exact[index] ?? (atMost[index] ??= counter.countAtMost(utterances[index]!));
  return (from, to, limit) => {
    let sum = 0;
    for (let index = from; index <= to; index += 1) sum += most(index);
    for (let index = from; index <= to && sum > limit; index += 1) {
      if (exact[index] !== undefined) continue;
      const before = most(index);
      exact[index] = counter.count(utterances[index]!);
      sum += exact[index]! - before;
    }
    return sum > limit;
  };
}

function toSegment(conversation: Conversation, { from, to }: Segment): Conversation {
  const utterances = conversation.utterances.slice(from, to + 1);
  const [first] = utterances;
  // An answer that opens a later segment was learnt with its question, or is without it.
  if (from > 0 && first?.role === "assistant") utterances[0] = { ...first, isContext: true };
  return {
    ...conversation,
    id: `${conversation.id}_${from}`,
    utterances,
    isComplete: conversation.isComplete && to === conversation.utterances.length - 1,
  };
}

/** Cuts are in order and may share their borders. */
function leftOut(turns: number, cuts: readonly Segment[]): number {
  let covered = 0;
  let next = 0;
  for (const { from, to } of cuts) {
    covered += to + 1 - Math.max(from, next);
    next = to + 1;
  }
  return turns - covered;
}
