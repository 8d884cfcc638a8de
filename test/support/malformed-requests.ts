// Makes malformed requests of every kind: broken JSON, wrong types and ranges, deep nesting, invalid UTF-8, wrong methods.
// It does not know how they are sent.
import fc from "fast-check";
import { hello } from "./app-harness.ts";

export const chatPath = "/v1/chat/completions";
const json = { "content-type": "application/json" };

/** One malformed request; POST to the chat endpoint unless it says otherwise. */
export interface Malformed {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

const good = { model: "realm", messages: hello };
const asBody = (value: unknown): Malformed => ({ body: JSON.stringify(value), headers: json });
const isNot =
  (...types: string[]) =>
  (value: unknown) =>
    value !== null && value !== undefined && !types.includes(Array.isArray(value) ? "array" : typeof value);

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Any JSON, strange keys and deep nesting included. */
const anything = fc.jsonValue({ maxDepth: 4 });
const strangeNumber = fc.constantFrom(-1, -1e308, 1e308, 2 ** 53, -(2 ** 53), 1e21, -0.5, 1e-320);
const fieldTypes: Record<string, (value: unknown) => boolean> = {
  model: (value) => typeof value !== "string",
  messages: (value) => !Array.isArray(value) || value.length === 0,
  n: isNot("number"),
  temperature: isNot("number"),
  top_p: isNot("number"),
  top_k: isNot("number"),
  min_p: isNot("number"),
  seed: isNot("number"),
  max_tokens: isNot("number"),
  max_completion_tokens: isNot("number"),
  presence_penalty: isNot("number"),
  frequency_penalty: isNot("number"),
  repetition_penalty: isNot("number"),
  stop: isNot("string", "array"),
  stream: isNot("boolean"),
  stream_options: () => true,
  logit_bias: isNot("object"),
  response_role: isNot("never"),
  logprobs: (value) => value === true || isNot("boolean")(value),
  tools: isNot("array"),
};

const wrongField = fc
  .tuple(fc.constantFrom(...Object.keys(fieldTypes)), anything)
  .filter(([field, value]) => fieldTypes[field]?.(value) === true && !(field === "stream_options" && value === null))
  .filter(([field, value]) => !(field === "response_role" && (value === "user" || value === "assistant")))
  .map(([field, value]) => asBody({ ...good, [field]: value }));

const wrongRange = fc
  .tuple(
    fc.constantFrom("n", "temperature", "top_p", "min_p", "max_tokens", "presence_penalty", "repetition_penalty"),
    strangeNumber.filter((value) => value < 0 || value > 200),
  )
  .filter(([field, value]) => field !== "max_tokens" || !(Number.isSafeInteger(value) && value > 0))
  .filter(([field, value]) => field !== "presence_penalty" || Math.abs(value) > 2)
  .map(([field, value]) => asBody({ ...good, [field]: value }));

const wrongMessage = anything
  .filter((value) => {
    const { role, content } = (value ?? {}) as { role?: unknown; content?: unknown };
    return typeof role !== "string" || typeof content !== "string";
  })
  .map((value) => asBody({ ...good, messages: [...hello, value] }));

const prototypeKeys = fc
  .constantFrom("__proto__", "constructor", "prototype", "toString", "hasOwnProperty")
  .map((key) => ({ headers: json, body: `{"model":"realm","messages":[{"${key}":{"role":"user","content":"x"}}]}` }));

const brokenJson = fc
  .tuple(
    fc.nat({ max: JSON.stringify(good).length - 1 }),
    fc.constantFrom("", "}", "]", "\u0000", "'", "NaN", "1e999x"),
  )
  .map(([cut, tail]) => ({ headers: json, body: JSON.stringify(good).slice(0, cut) + tail }))
  .filter(({ body }) => !isJson(body));

const literal = fc
  .constantFrom("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x10", "01", "undefined", "1_000", ".5")
  .chain((text) =>
    fc.constantFrom("temperature", "n", "seed", "max_tokens").map((field) => ({
      headers: json,
      body: `{"model":"realm","messages":${JSON.stringify(hello)},"${field}":${text}}`,
    })),
  );

const deep = fc
  .tuple(fc.integer({ min: 1, max: 200_000 }), fc.constantFrom("[", '{"a":', '[{"a":'))
  .map(([depth, open]) => {
    const close = open === "[" ? "]" : open === '{"a":' ? "}" : "}]";
    const value = `${open.repeat(depth)}1${close.repeat(depth)}`;
    return { headers: json, body: `{"model":"realm","messages":${value}}` };
  });

const invalidUtf8 = fc
  .tuple(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(0x80, 0xc0, 0xfe, 0xff, 0xed))
  .map(([before, bad]) => ({ headers: json, body: new Uint8Array([0x22, ...before, bad, 0x22]) }));

const loneSurrogate = fc
  .constantFrom("\\ud800", "\\udfff", "x\\ud83dx")
  .map((text) => ({ headers: json, body: `{"model":"realm","messages":[{"role":"user","content":"${text}"}]}` }));

const notAnObject = fc
  .oneof(
    fc.constant("null"),
    fc.constant("[]"),
    fc.constant("1"),
    fc.constant('""'),
    fc.constant(""),
    fc.constant("  \n"),
  )
  .map((body) => ({ headers: json, body }));

const wrongMethod = fc
  .tuple(
    fc.constantFrom("GET", "PUT", "PATCH", "DELETE", "OPTIONS"),
    fc.constantFrom(chatPath, "/v1/models/realm", "/v1/models", "/health", "/ready", "/metrics"),
  )
  .filter(([method, url]) => method !== "GET" || url === chatPath)
  .map(([method, url]) => ({ method, path: url }));

const wrongPath = fc
  .tuple(fc.constantFrom("GET", "POST"), fc.webPath({ size: "small" }))
  .map(([method, tail]) => ({ method, path: `/v1/none${tail}` }));

const wrongType = fc
  .constantFrom(
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "json",
  )
  .map((type) => ({ headers: { "content-type": type }, body: JSON.stringify(good) }));

const compressed = fc
  .constantFrom("gzip", "br", "deflate")
  .map((encoding) => ({ headers: { ...json, "content-encoding": encoding }, body: new Uint8Array([0x1f, 0x8b, 8]) }));

const huge = fc
  .integer({ min: 4096, max: 20_000 })
  .map((length) => asBody({ ...good, messages: [{ role: "user", content: "x".repeat(length) }] }));

const unknownModel = fc
  .string({ maxLength: 300 })
  .filter((id) => id !== "realm")
  .map((model) => asBody({ ...good, model }));

/** One arbitrary for each kind of malformed request. `huge` exceeds a body limit of 4,096 bytes. */
export const malformedRequests: Readonly<Record<string, fc.Arbitrary<Malformed>>> = {
  brokenJson,
  compressed,
  deep,
  huge,
  invalidUtf8,
  literal,
  loneSurrogate,
  notAnObject,
  prototypeKeys,
  unknownModel,
  wrongField,
  wrongMessage,
  wrongMethod,
  wrongPath,
  wrongRange,
  wrongType,
};
