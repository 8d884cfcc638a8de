// Owns playing a dialogue on another gateway: one request, its stream of server-sent events read back as objects.
// It knows the transport alone; what the events mean is for its reader.

/** A gateway that cannot be reached or refuses; the message is for people. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";
}

/** Asks for a dialogue and yields its events as they come. Leaving the loop, or aborting, hangs up and so cancels it there. */
export async function* playRemotely(
  url: string,
  body: Readonly<Record<string, unknown>>,
  apiKey: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<unknown, void> {
  const response = await request(endpoint(url), { ...body, stream: true }, apiKey, signal);
  if (!response.ok) throw new RemoteError(await refusal(response));
  if (response.body === null) throw new RemoteError(`${url} answered without a body.`);
  for await (const data of readServerSentData(response.body)) {
    if (data === "[DONE]") return;
    const event = parse(data, url);
    const error = errorMessage(event);
    if (error !== null) throw new RemoteError(error);
    yield event;
  }
  throw new RemoteError(`The stream of ${url} broke off before its end.`);
}

/** The payloads of a stream of server-sent events. */
export async function* readServerSentData(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  let data: string[] = [];
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.startsWith("data: ") ? line.slice(6) : line.slice(5));
      }
    }
  }
}

function parse(data: string, url: string): unknown {
  try {
    return JSON.parse(data);
  } catch (error) {
    throw new RemoteError(`${url} sent what is not JSON in its stream.`, { cause: error });
  }
}

function endpoint(url: string): URL {
  const path = /\/v1\/?$/.test(url) ? "selfplay/dialogues" : "v1/selfplay/dialogues";
  const base = url.endsWith("/") ? url : `${url}/`;
  if (!URL.canParse(base))
    throw new RemoteError(`--url must be an address such as http://localhost:8080, not ${JSON.stringify(url)}.`);
  return new URL(path, base);
}

async function request(url: URL, body: object, apiKey: string | undefined, signal: AbortSignal): Promise<Response> {
  const headers = {
    "content-type": "application/json",
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  try {
    return await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch (error) {
    if (signal.aborted) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RemoteError(`${url.origin} cannot be reached: ${reason}.`, { cause: error });
  }
}

async function refusal(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return errorMessage(JSON.parse(text)) ?? `${response.url} answered with status ${response.status}.`;
  } catch {
    return `${response.url} answered with status ${response.status} and no JSON; is it a gateway?`;
  }
}

function errorMessage(answer: unknown): string | null {
  if (typeof answer !== "object" || answer === null || !("error" in answer)) return null;
  const { error } = answer;
  const hasMessage = typeof error === "object" && error !== null && "message" in error;
  return hasMessage ? String(error.message) : JSON.stringify(error);
}
