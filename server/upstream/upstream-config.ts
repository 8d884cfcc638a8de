// Owns what an operator says of an upstream in the configuration file: which fields there are, their defaults, their faults in words.
// Keys come from environment variables alone. It reads neither the file nor process.env (server/config.ts does), and opens nothing.
import { z } from "zod";

/** Money per million tokens. */
export interface UpstreamPrices {
  readonly inputPerMillion: number;
  /** For prompt tokens the endpoint reports as cached; as dear as others unless told. */
  readonly cachedInputPerMillion: number;
  readonly outputPerMillion: number;
  /** E.g. `USD`. */
  readonly currency: string;
}

/** Request fields that an endpoint may not know. */
const omittableFields = [
  "temperature",
  "top_p",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "seed",
  "stop",
  "stream_options",
  "max_tokens",
] as const;

export type OmittableField = (typeof omittableFields)[number];

/** One endpoint of an OpenAI-compatible server that is served here as a model. */
export interface UpstreamSettings {
  /** The model's id in this server. */
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly baseUrl: string;
  /** The model's id over there. */
  readonly model: string;
  /** null: the endpoint asks for none. */
  readonly apiKey: string | null;
  readonly apiKeyEnv: string | null;
  readonly contextWindow: number;
  readonly prices: UpstreamPrices | null;
  readonly maxConcurrency: number;
  /** From a request to its first event. */
  readonly timeoutS: number;
  /** Between two events of a stream. */
  readonly idleTimeoutS: number;
  /** Attempts after the first. */
  readonly maxRetries: number;
  /** Before the first retry; doubles with each. */
  readonly retryDelayMs: number;
  /** The longest wait, asked for or not; an endpoint that asks for more is not waited for. */
  readonly maxRetryDelayS: number;
  /** Whether `top_k`, `min_p` and `repetition_penalty` are known there. */
  readonly extensions: boolean;
  readonly userMode: "natural" | "swap";
  readonly maxTokensField: "max_completion_tokens" | "max_tokens";
  readonly omit: readonly OmittableField[];
}

/** An upstream that cannot be used; the message is one sentence without its source, which the reader of the file adds. */
export class UpstreamConfigError extends Error {
  override readonly name = "UpstreamConfigError";
}

const expect = (what: string) => ({ error: `must be ${what}` });
const integer = (min: number, max: number) => {
  const say = expect(`a whole number from ${min} to ${max}`);
  return z.int(say).min(min, say).max(max, say);
};
const positive = (max: number) => {
  const say = expect(`a number above 0 and up to ${max}`);
  return z.number(say).gt(0, say).max(max, say);
};
const price = z.number(expect("a price of 0 or more")).min(0, expect("a price of 0 or more"));
const name = (what: string) => z.string(expect(what)).regex(/^[\x21-\x7e]{1,200}$/, expect(what));
const oneOf = <const T extends readonly string[]>(words: T) => z.enum(words, expect(`one of ${words.join(", ")}`));

const isBaseUrl = (text: string) => {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && `${username}${password}${search}${hash}` === "";
};
const address = "an http or https address such as https://api.example.org/v1, without a user, a key or a query";

const pricesSchema = z
  .strictObject(
    {
      inputPerMillion: price,
      cachedInputPerMillion: price.optional(),
      outputPerMillion: price,
      currency: z
        .string(expect("a currency such as USD"))
        .regex(/^[A-Z]{3}$/, expect("a currency such as USD"))
        .default("USD"),
    },
    expect("an object of prices"),
  )
  .transform((prices) => ({
    ...prices,
    cachedInputPerMillion: prices.cachedInputPerMillion ?? prices.inputPerMillion,
  }));

const upstreamSchema = z.strictObject(
  {
    id: name("a name of printable characters without spaces"),
    role: oneOf(["user", "assistant"]).default("assistant"),
    baseUrl: z.string(expect(address)).refine(isBaseUrl, expect(address)),
    model: name("the model's name at the endpoint"),
    apiKeyEnv: z
      .string(expect("the name of an environment variable"))
      .regex(/^[A-Za-z_]\w*$/, expect("the name of an environment variable"))
      .optional(),
    contextWindow: integer(16, 16_777_216),
    prices: pricesSchema.optional(),
    maxConcurrency: integer(1, 1024).default(16),
    // The HTTP client of Node gives up on headers after 300 s whatever it is told.
    timeoutS: positive(300).default(120),
    idleTimeoutS: positive(300).default(60),
    maxRetries: integer(0, 20).default(4),
    retryDelayMs: integer(1, 60_000).default(500),
    maxRetryDelayS: positive(3600).default(60),
    extensions: z.boolean(expect("true or false")).default(false),
    userMode: oneOf(["natural", "swap"]).default("swap"),
    maxTokensField: oneOf(["max_completion_tokens", "max_tokens"]).default("max_completion_tokens"),
    omit: z.array(oneOf(omittableFields), expect("a list of field names")).default([]),
  },
  expect("an object"),
);

/** Checks the file's `upstreams` and fetches their keys. Throws UpstreamConfigError; a key is never part of its message. */
export function readUpstreams(given: unknown, env: Readonly<NodeJS.ProcessEnv>): readonly UpstreamSettings[] {
  if (!Array.isArray(given)) throw new UpstreamConfigError('"upstreams" must be a list.');
  const ids = new Set<string>();
  return given.map((item: unknown, index) => {
    const place = `upstreams[${index}]`;
    refuseLiteralKey(item, place);
    const result = upstreamSchema.safeParse(item, { reportInput: true });
    if (!result.success) throw new UpstreamConfigError(describe(result.error.issues[0], place));
    const { apiKeyEnv = null, prices = null, ...rest } = result.data;
    if (ids.has(rest.id)) throw new UpstreamConfigError(`"${place}.id" is "${rest.id}", as is another upstream's.`);
    ids.add(rest.id);
    return Object.freeze({ ...rest, prices, apiKeyEnv, apiKey: readKey(rest.id, apiKeyEnv, env) });
  });
}

/** A file is copied, committed and mailed; a key in it is refused rather than used. */
function refuseLiteralKey(item: unknown, place: string): void {
  if (typeof item !== "object" || item === null) return;
  const key = Object.keys(item).find((field) => /^(api[_-]?key|key|token|secret|authorization)$/i.test(field));
  if (key === undefined) return;
  throw new UpstreamConfigError(
    `"${place}.${key}" may not stand in a file: put the key into an environment variable and its name into "apiKeyEnv".`,
  );
}

function readKey(id: string, apiKeyEnv: string | null, env: Readonly<NodeJS.ProcessEnv>): string | null {
  if (apiKeyEnv === null) return null;
  const key = env[apiKeyEnv]?.trim();
  if (key === undefined || key === "") {
    throw new UpstreamConfigError(
      `The upstream "${id}" takes its key from the environment variable ${apiKeyEnv}, which is not set.`,
    );
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new UpstreamConfigError(
      `The environment variable ${apiKeyEnv}, the key of the upstream "${id}", must hold printable characters without spaces.`,
    );
  }
  return key;
}

function describe(issue: z.core.$ZodIssue | undefined, place: string): string {
  if (issue === undefined) return `"${place}" is not valid.`;
  const path = issue.path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("");
  const field = `"${place}${path}"`;
  if (issue.code === "unrecognized_keys") return `${field} has an unknown field "${issue.keys[0]}".`;
  if (issue.input === undefined) return `${field} is missing: it ${issue.message}.`;
  // Whoever confuses the variable's name with its value, or puts a key into an address, has given us a secret.
  const isSecret = /\.(apiKeyEnv|baseUrl)$/.test(path);
  return `${field} ${issue.message}${isSecret ? "" : `, not ${JSON.stringify(issue.input)}`}.`;
}
