import { describe, expect, it } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { askJudge } from "../../../training/judge/ask.ts";
import { openEndpoint, readJudgeKey } from "../../../training/judge/endpoint.ts";
import { scoreSession } from "../../../training/judge/judge.ts";
import { errorBody, type FakeAnswer, refuses, slams, startFakeUpstream } from "../../support/fake-upstream.ts";

const replies =
  (content: string | null, extra: object = {}): FakeAnswer =>
  (response) =>
    void response.writeHead(200, { "content-type": "application/json" }).end(
      JSON.stringify({
        object: "chat.completion",
        choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
        usage: { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 },
        ...extra,
      }),
    );
const unsupported = (param: string, code = "unsupported_parameter") =>
  refuses(400, { error: { message: `Unsupported: '${param}'`, type: "invalid_request_error", param, code } });
const never = new AbortController().signal;
const turns = [
  { role: "user", content: "Why is the sky blue?" },
  { role: "assistant", content: "Light scatters." },
] as const;
const ask = (url: string, apiKey: string | null = null, retries = 0) => {
  const model = openEndpoint({ baseUrl: url, model: "judge-1", apiKey, maxRetries: 1 });
  return scoreSession({ model, retries }, turns, "paper-3", 5, never);
};
const marks = replies('{"complexity": 7, "relevancy": 8, "logicality": 9}');

describe("a judge behind an endpoint", () => {
  it("is asked at temperature 0 with the seed, and its marks are read", async () => {
    const server = await startFakeUpstream(marks);
    const answer = await ask(server.url, "sk-test");
    expect(answer).toMatchObject({ value: { complexity: 7, relevancy: 8, logicality: 9 }, model: "judge-1" });
    const [request] = server.requests;
    expect(request?.path).toBe("/v1/chat/completions");
    expect(request?.headers.authorization).toBe("Bearer sk-test");
    expect(request?.body).toMatchObject({ model: "judge-1", temperature: 0, seed: 5, max_tokens: 512 });
    expect(JSON.stringify(request?.body)).toContain("#[Human's question]#\\nWhy is the sky blue?");
  });

  it("is sent no key where there is none", async () => {
    const server = await startFakeUpstream(marks);
    await ask(server.url);
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });

  it("is asked again after a failure that may pass, and after a reply that cannot be read", async () => {
    const server = await startFakeUpstream(refuses(503, errorBody("busy")), replies("Fine questions."), marks);
    expect((await ask(server.url, null, 1)).value).toEqual({ complexity: 7, relevancy: 8, logicality: 9 });
    expect(server.requests.map(({ body }) => body["temperature"])).toEqual([0, 0, 0.7]);
  });

  it("is spared the parameters it refuses", async () => {
    const server = await startFakeUpstream(
      unsupported("max_tokens"),
      unsupported("temperature", "unsupported_value"),
      marks,
    );
    expect((await ask(server.url)).value).not.toBeNull();
    const last = server.requests.at(-1)?.body;
    expect(last).toMatchObject({ max_completion_tokens: 512, seed: 5 });
    expect(last).not.toHaveProperty("temperature");
    expect(last).not.toHaveProperty("max_tokens");
  });

  it("that finds a session too long gives no marks and says so", async () => {
    const server = await startFakeUpstream(
      refuses(
        400,
        errorBody("This model's maximum context length is 4096 tokens. However, you requested 9000 tokens."),
      ),
    );
    expect(await ask(server.url)).toMatchObject({ value: null, isTooLong: true });
  });

  it("whose reply has no content is an unreadable one", async () => {
    const server = await startFakeUpstream(replies(null));
    expect(await ask(server.url)).toMatchObject({ value: null, isTooLong: false, reply: "" });
  });

  it.each([
    ["upstream_refused", refuses(401, errorBody("bad key")), "bad key"],
    ["upstream_failed", refuses(500, errorBody("broken")), "broken"],
    ["upstream_rate_limited", refuses(429, errorBody("slow down")), "slow down"],
    ["upstream_failed", slams, "Connection error"],
    ["upstream_failed", replies("", { choices: [] }), "without a choice"],
  ] as const)("fails as every model does: %s", async (code, answer, words) => {
    const server = await startFakeUpstream(answer);
    const failure = await ask(server.url).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineError);
    expect(failure).toMatchObject({ code, message: expect.stringContaining(words) as string });
    expect((failure as Error).message).toContain(`judge-1 at ${server.url}`);
  });

  it("is left alone when the caller gives up", async () => {
    const server = await startFakeUpstream(() => {});
    const abort = new AbortController();
    const model = openEndpoint({ baseUrl: server.url, model: "judge-1", apiKey: null });
    const question = { instruction: "i", material: "m", parse: () => null, seed: 0 };
    const asked = askJudge({ model, retries: 0 }, question, abort.signal);
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort();
    await expect(asked).rejects.toMatchObject({ code: "cancelled" });
    await server.requests[0]?.closed;
  });
});

it("the key comes from REALCHAT_JUDGE_KEY, else OPENAI_API_KEY, else there is none", () => {
  expect(readJudgeKey({ REALCHAT_JUDGE_KEY: "a", OPENAI_API_KEY: "b" })).toBe("a");
  expect(readJudgeKey({ REALCHAT_JUDGE_KEY: "", OPENAI_API_KEY: "b" })).toBe("b");
  expect(readJudgeKey({})).toBeNull();
});
