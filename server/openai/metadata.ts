// Owns what metadata of an object may be: OpenAI's own limits.
import { z } from "zod";

const maxKeys = 16;
const maxKeyLength = 64;
const maxValueLength = 512;

/** Texts of the client's own. */
export const metadataSchema = z.record(z.string(), z.string()).superRefine((value, context) => {
  const entries = Object.entries(value);
  const fail = (message: string) => context.addIssue({ code: "custom", message });
  if (entries.length > maxKeys) fail(`at most ${maxKeys} keys are kept.`);
  for (const [key, text] of entries) {
    if (key.length > maxKeyLength) fail(`a key has at most ${maxKeyLength} characters.`);
    if (text.length > maxValueLength) {
      fail(`the value of '${key.slice(0, maxKeyLength)}' has more than ${maxValueLength} characters.`);
    }
  }
});
