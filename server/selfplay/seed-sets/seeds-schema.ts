// Owns what a request may say about seed sets: which format, where the rows are, what becomes of broken ones, how many are taken.
// It does not read anything; load-seeds.ts does.
import { z } from "zod";
import { integerBound } from "../../openai/validation.ts";
import { closed } from "../closed.ts";

const mostRows = 10_000_000;

/** The `seeds` of a request. */
export const seedsSchema = closed({
  format: z.enum(["plain", "dolly", "wizardlm", "self-instruct", "sharegpt"]),
  /** The file itself: JSON Lines, a JSON array, or for plain prompts lines of text. */
  text: z.string().min(1).nullish(),
  /** A file inside the server's seed folder. */
  path: z.string().min(1).nullish(),
  skip_broken: z.boolean().nullish(),
  /** How many rows are taken, by category and chance; all, in the file's order, unless said. */
  sample: z.int().min(1, integerBound).max(mostRows, integerBound).nullish(),
}).superRefine(({ text, path }, context) => {
  const given = [text, path].filter((value) => typeof value === "string").length;
  if (given === 1) return;
  const message = given === 0 ? "give the rows in 'text' or a file in 'path'." : "give only one of 'text' and 'path'.";
  context.addIssue({ code: "custom", path: [given === 0 ? "text" : "path"], message });
});

export type SeedsBody = z.infer<typeof seedsSchema>;
