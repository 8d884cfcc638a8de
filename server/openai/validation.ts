// Owns how a failed zod check is told to an OpenAI client: message, `param` path and `code`.
// It knows zod's issues and nothing of which fields there are; those are schema.ts's.
import type { z } from "zod";
import { ApiError, excerpt } from "./error.ts";

type Issue = z.core.$ZodIssue;

/** Given as the message of an integer's bounds: zod itself reports them like those of any number. */
export const integerBound = "integer";

/** Checks `value` and returns it typed; throws ApiError 400 for its first fault. */
export function validate<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw issue === undefined ? new ApiError(400, "The request is not valid.") : issueError(issue, []);
}

/** `messages[0].role`: how OpenAI writes the place of a fault. */
function paramPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? String(step) : `.${String(step)}`;
  }
  return text;
}

function issueError(issue: Issue, parent: readonly PropertyKey[]): ApiError {
  const path = [...parent, ...issue.path];
  const param = path.length === 0 ? null : excerpt(paramPath(path));
  const name = param === null ? "the request body" : `'${param}'`;
  const fail = (message: string, code: string | null) => new ApiError(400, message, { param, code });

  switch (issue.code) {
    case "invalid_type":
      return typeError(issue.expected, issue.input, name, fail);
    case "too_big":
    case "too_small":
      return rangeError(issue, name, fail);
    case "invalid_value": {
      if (issue.input === undefined) return fail(`Missing required parameter: ${name}.`, "missing_required_parameter");
      const supported = issue.values.map((value) => `'${String(value)}'`).join(", ");
      const given = typeof issue.input === "string" ? `'${excerpt(issue.input)}'` : describe(issue.input);
      return fail(`Invalid value for ${name}: ${given}. Supported values are: ${supported}.`, "invalid_value");
    }
    case "invalid_union":
      return unionError(issue, path, name, fail);
    case "custom":
      if (issue.params?.["isSentence"] === true) return fail(issue.message, customCode(issue.params, null));
      return fail(`Invalid ${name}: ${issue.message}`, customCode(issue.params, "invalid_value"));
    case "invalid_element":
    case "invalid_format":
    case "invalid_key":
    case "not_multiple_of":
    case "unrecognized_keys":
      break;
  }
  return fail(`Invalid ${name}: ${issue.message}.`, "invalid_value");
}

type Fail = (message: string, code: string | null) => ApiError;

function typeError(expected: string, input: unknown, name: string, fail: Fail): ApiError {
  if (input === undefined) return fail(`Missing required parameter: ${name}.`, "missing_required_parameter");
  const wanted = expectedWords[expected] ?? `a value of type ${expected}`;
  return fail(`Invalid type for ${name}: expected ${wanted}, but got ${describe(input)} instead.`, "invalid_type");
}

function rangeError(issue: Extract<Issue, { code: "too_big" | "too_small" }>, name: string, fail: Fail): ApiError {
  const isTooBig = issue.code === "too_big";
  const bound = Number(isTooBig ? issue.maximum : issue.minimum);
  if (issue.origin === "array" || issue.origin === "string") {
    const length = (issue.input as { length?: number } | undefined)?.length ?? 0;
    if (issue.origin === "array" && length === 0) {
      return fail(`Invalid ${name}: empty array. Expected an array with minimum length ${bound}.`, "empty_array");
    }
    const side = isTooBig ? "maximum" : "minimum";
    const code = `${issue.origin}_${isTooBig ? "above_max" : "below_min"}_length`;
    const extent = isTooBig ? "too long" : "too short";
    const noun = issue.origin === "array" ? "an array" : "a string";
    return fail(
      `Invalid ${name}: ${issue.origin} ${extent}. Expected ${noun} with ${side} length ${bound}, but got length ${length} instead.`,
      code,
    );
  }
  const kind = issue.origin === "int" || issue.message === integerBound ? "integer" : "decimal";
  const sign = issue.inclusive === true ? "=" : "";
  const side = isTooBig ? "above maximum" : "below minimum";
  return fail(
    `Invalid ${name}: ${kind} ${side} value. Expected a value ${isTooBig ? "<" : ">"}${sign} ${bound}, but got ${String(issue.input)} instead.`,
    `${kind}_${isTooBig ? "above_max" : "below_min"}_value`,
  );
}

/** Of a union's branches, the one the value was meant for: the first whose fault lies deeper than the value's own type. */
function unionError(
  issue: Extract<Issue, { code: "invalid_union" }>,
  path: readonly PropertyKey[],
  name: string,
  fail: Fail,
): ApiError {
  for (const branch of issue.errors) {
    const [first] = branch;
    if (first !== undefined && (first.path.length > 0 || first.code !== "invalid_type")) return issueError(first, path);
  }
  const wanted = issue.errors
    .flatMap(([first]) => (first?.code === "invalid_type" ? [expectedWords[first.expected] ?? first.expected] : []))
    .join(" or ");
  if (issue.input === undefined) return fail(`Missing required parameter: ${name}.`, "missing_required_parameter");
  return fail(
    `Invalid type for ${name}: expected ${wanted}, but got ${describe(issue.input)} instead.`,
    "invalid_type",
  );
}

function customCode(params: Record<string, unknown> | undefined, fallback: string | null): string | null {
  return typeof params?.["code"] === "string" ? params["code"] : fallback;
}

const expectedWords: Record<string, string> = {
  string: "a string",
  number: "a decimal number",
  int: "an integer",
  boolean: "a boolean",
  array: "an array",
  object: "an object",
  record: "an object",
};

function describe(input: unknown): string {
  if (input === null) return "null";
  if (Array.isArray(input)) return "an array";
  if (typeof input === "number" && !Number.isFinite(input)) return "a number that is not finite";
  if (typeof input === "number") return Number.isInteger(input) ? "an integer" : "a decimal number";
  return typeof input === "object" ? "an object" : `a ${typeof input}`;
}
