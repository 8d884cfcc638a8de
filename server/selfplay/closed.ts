// Owns objects that hold known fields and no others: a mistyped field would silently change the data, so it is refused by name.
// It does not know which fields those are.
import { z } from "zod";
import { excerpt } from "../openai/error.ts";

/** An object of these fields and no others. */
export function closed<T extends z.ZodRawShape>(shape: T) {
  return z.looseObject(shape).superRefine((value, context) => {
    for (const field of Object.keys(value)) {
      if (Object.hasOwn(shape, field)) continue;
      const known = Object.keys(shape).join(", ");
      context.addIssue({
        code: "custom",
        path: [field],
        message: `Unknown parameter: '${excerpt(field)}'. Known here are: ${known}.`,
        params: { isSentence: true, code: "unknown_parameter" },
      });
    }
  });
}
