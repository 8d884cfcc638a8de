// Owns the official client as it is pointed at an upstream, and the one shape in which it is shown answers.
// No retries, no environment, no redirects: those decisions are made elsewhere or not at all.
import OpenAI from "openai";
import { fetchReusable } from "./reusable-stream.ts";
import type { UpstreamSettings } from "./upstream-config.ts";

const maxErrorBytes = 65_536;

/** A client for this upstream alone. */
export function createClient({ baseUrl, apiKey, timeoutS }: UpstreamSettings): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? "none",
    // Named, so that nothing is taken from the environment.
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: timeoutS * 1000,
    logLevel: "off",
    // Wins over what the package finds in OPENAI_CUSTOM_HEADERS.
    defaultHeaders: { authorization: apiKey === null ? null : `Bearer ${apiKey}` },
    fetch: fetchNormalized,
  });
}

/** What a request is made of; anything else came from the environment. */
const ownHeaders = /^(accept|authorization|content-type|user-agent|x-stainless-.*)$/;

/**
 * Rewrites error answers to `{"error": {…}}`: the client reads nothing else, and servers put their sentence at the top level
 * (SGLang), into a string (TGI) or into plain text. An answer that is no stream although one was asked for becomes one.
 */
const fetchNormalized: typeof fetch = async (input, init) => {
  const sent = [...new Headers(init?.headers)].filter(([name]) => ownHeaders.test(name));
  const response = await fetchReusable(input, { ...init, headers: sent, redirect: "manual" });
  if (response.ok) return isJson(response) ? toStream(response) : response;
  const text = await readStart(response);
  const headers = new Headers(response.headers);
  headers.set("content-type", "application/json");
  for (const name of ["content-length", "content-encoding"]) headers.delete(name);
  // The one status of these that may have no body.
  const status = response.status === 304 ? 502 : response.status;
  return new Response(JSON.stringify({ error: errorObject(text) }), { status, headers });
};

const isJson = ({ headers }: Response) => /^application\/json\b/i.test(headers.get("content-type") ?? "");

/** LM Studio tells errors with 200, and some servers know no streams: either is one event. */
async function toStream(response: Response): Promise<Response> {
  const line = (await response.text()).replaceAll(/[\r\n]+/g, " ");
  const headers = { "content-type": "text/event-stream" };
  return new Response(`data: ${line}\n\ndata: [DONE]\n\n`, { headers });
}

function errorObject(text: string): object {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { message: text };
  }
  // Google wraps the object into a list.
  if (Array.isArray(body)) body = body[0];
  if (typeof body !== "object" || body === null) return { message: text };
  const error: unknown = Reflect.get(body, "error");
  if (typeof error === "object" && error !== null) return error;
  if (typeof error === "string") return { message: error, type: Reflect.get(body, "error_type") ?? null };
  const detail: unknown = Reflect.get(body, "detail");
  const message: unknown = Reflect.get(body, "message") ?? (typeof detail === "string" ? detail : text);
  return { ...body, message };
}

/** An error needs no megabytes. */
async function readStart(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (text.length > maxErrorBytes) break;
    }
  } catch {
    // The status says enough.
  }
  return text;
}
