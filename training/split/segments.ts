// Owns where a long session is cut, as a pure function of who speaks and of how much fits. It knows no tokens and no text.
import type { ModelRole } from "../../runtime/chat-model.ts";

/** Utterances `from` to `to`, both included. */
export interface Segment {
  readonly from: number;
  readonly to: number;
}

/** Whether the utterances from the one to the other, both included, are more than the window holds. */
export type IsOver = (from: number, to: number) => boolean;

export const SPLIT_RULES = ["fit", "paper"] as const;
export type SplitRule = (typeof SPLIT_RULES)[number];

/** Cuts by a rule; every segment ends with an answer, and none is empty. */
export function splitSession(rule: SplitRule, roles: readonly ModelRole[], isOver: IsOver): readonly Segment[] {
  return rule === "paper" ? splitAsPaper(roles, isOver) : splitToFit(roles, isOver);
}

/**
 * The paper's rule. The answer that overflows stays in, so a segment may be longer than the window, and it is repeated as the
 * next segment's context. A question that overflows opens the next segment, after the answer before it.
 */
function splitAsPaper(roles: readonly ModelRole[], isOver: IsOver): readonly Segment[] {
  const segments: Segment[] = [];
  const emit = (from: number, to: number): void => {
    if (to >= from) segments.push({ from, to });
  };
  let start = 0;
  for (const [index, role] of roles.entries()) {
    const isFull = isOver(start, index);
    const isLast = index === roles.length - 1;
    if (!isFull && !isLast) continue;
    emit(start, role === "assistant" ? index : index - 1);
    if (role === "assistant") start = index;
    // The paper's program goes wrong where the first question alone is too long: there is no answer before it to go back to.
    else start = index === 0 ? 1 : index - 1;
  }
  return segments;
}

/** No segment is longer than the window: an answer that overflows goes to the next segment together with its question. */
function splitToFit(roles: readonly ModelRole[], isOver: IsOver): readonly Segment[] {
  const segments: Segment[] = [];
  /** Index of the first utterance that is in no segment yet. */
  let fresh = 0;
  const emit = (from: number, before: number): void => {
    const to = roles.lastIndexOf("assistant", before - 1);
    if (before === 0 || to < from || to < fresh) return;
    segments.push({ from, to });
    fresh = to + 1;
  };
  let start = 0;
  for (let index = 0; index < roles.length; index += 1) {
    if (!isOver(start, index)) continue;
    emit(start, index);
    // From the last answer that went before, as context, if it fits; else from the question; else without what is too long.
    start = Math.max(start, fresh - 1);
    while (start <= index && isOver(start, index)) start += 1;
  }
  emit(start, roles.length);
  return segments;
}
