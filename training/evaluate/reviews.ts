// Owns Vicuna's reviews, the older way of comparing: a judge gives both answers marks in one reply, and the marks are added up.
// It reads recorded ones only; new comparisons are judged in both orders (judging.ts).
import { basename } from "node:path";
import { z } from "zod";

/** The recorded marks; the review's text does not always begin with them. */
export const reviewSchema = z.object({
  question_id: z.int(),
  score: z.tuple([z.number(), z.number()]),
});
export type Review = z.infer<typeof reviewSchema>;

export interface ReviewTally {
  /** File name without its ending. */
  readonly name: string;
  readonly n: number;
  readonly total1: number;
  readonly total2: number;
  /** How often the second got the higher mark. */
  readonly win2: number;
  readonly tie: number;
  readonly loss2: number;
  /** Marks below 0 stand for none. */
  readonly unreadable: number;
}

export function tallyReviews(path: string, reviews: readonly Review[]): ReviewTally {
  const read = reviews.filter(({ score }) => score.every((mark) => mark >= 0));
  const sum = (index: 0 | 1) => read.reduce((total, { score }) => total + score[index], 0);
  const win2 = read.filter(({ score: [one, two] }) => two > one).length;
  const tie = read.filter(({ score: [one, two] }) => two === one).length;
  return {
    name: basename(path).replace(/\.jsonl(\.gz)?$/, ""),
    n: read.length,
    total1: sum(0),
    total2: sum(1),
    win2,
    tie,
    loss2: read.length - win2 - tie,
    unreadable: reviews.length - read.length,
  };
}
