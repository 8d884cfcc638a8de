import { describe, expect, it } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { createHarness, hello, readError } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const keyed = () => createHarness({ config: { apiKeys: ["sk-first-0123456789", "sk-second-012345678"] } });

/** The id of an answer to a request with the given one. */
async function idFor(given?: string) {
  const headers = given === undefined ? undefined : { "x-request-id": given };
  return (await createHarness().send("GET", "/health", undefined, headers)).headers.get("x-request-id");
}

describe("with keys configured", () => {
  it.each(["sk-first-0123456789", "sk-second-012345678"])("the key %s is let in", async (key) => {
    expect((await keyed().chat({}, { authorization: `Bearer ${key}` })).status).toBe(200);
  });

  it("the scheme's case and extra spaces do not matter", async () => {
    expect((await keyed().chat({}, { authorization: "bearer   sk-first-0123456789" })).status).toBe(200);
  });

  it.each([undefined, "", "sk-first-0123456789", "Basic c2stZmlyc3Q=", "Bearer", "Bearer "])(
    "the header %j is a missing key",
    async (authorization) => {
      const response = await keyed().chat({}, authorization === undefined ? {} : { authorization });
      const { status, error } = await readError(response);
      expect({ status, code: error.code }).toEqual({ status: 401, code: null });
      expect(error.message).toMatch(/^You didn't provide an API key/);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
    },
  );

  it.each(["sk-first-012345678", "sk-first-01234567890", "SK-FIRST-0123456789", "x".repeat(4000)])(
    "the wrong key %j is refused and not repeated",
    async (key) => {
      const { status, error } = await readError(await keyed().chat({}, { authorization: `Bearer ${key}` }));
      expect({ status, code: error.code }).toEqual({ status: 401, code: "invalid_api_key" });
      expect(error.message).not.toContain(key);
      expect(error.message.length).toBeLessThan(80);
    },
  );

  it("everything under /v1 needs one, known or not; health, readiness and metrics do not", async () => {
    const { send } = keyed();
    const statusOf = async (path: string) => (await send("GET", path)).status;
    expect(await Promise.all(["/v1/models", "/v1/models/realm", "/v1/none", "/v1"].map(statusOf))).toEqual([
      401, 401, 401, 401,
    ]);
    expect(await Promise.all(["/health", "/ready", "/metrics"].map(statusOf))).toEqual([200, 200, 200]);
    expect(await statusOf("/%76%31/models")).toBe(401);
  });
});

it("without keys configured any key is let in", async () => {
  expect((await createHarness().chat({}, { authorization: "Bearer anything" })).status).toBe(200);
});

describe("request ids", () => {
  it("a harmless one is kept", async () => {
    expect(await idFor("trace-1.2_3:4")).toBe("trace-1.2_3:4");
  });

  it.each([undefined, "", "with space", `"quoted"`, "x".repeat(129), "ä"])(
    "%j is replaced by a new one",
    async (given) => {
      expect(await idFor(given)).toMatch(/^req_[0-9a-f]{32}$/);
    },
  );

  it("errors of every kind bear one", async () => {
    const { chat, send } = createHarness({ config: { apiKeys: ["k"] } });
    for (const response of [await chat({}), await send("GET", "/none"), await send("PUT", "/health")]) {
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    }
  });
});

describe("the log", () => {
  it("has one line per request with its route pattern, outcome and token counts", async () => {
    const { chat, lines } = createHarness();
    const response = await chat({});
    expect(lines).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        level: "info",
        message: "request",
        requestId: response.headers.get("x-request-id"),
        method: "POST",
        path: "/v1/chat/completions",
        route: "/v1/chat/completions",
        status: 200,
        durationMs: expect.any(Number),
        model: "realm",
        promptTokens: 2,
        completionTokens: 4,
        outcome: "stop",
      },
    ]);
  });

  it("writes a stream's line when its last byte is handed over", async () => {
    const { chat, lines } = createHarness();
    const response = await chat({ stream: true });
    expect(lines).toEqual([]);
    await response.text();
    expect(lines).toMatchObject([{ outcome: "stop", completionTokens: 4, status: 200 }]);
  });

  it("never holds what people write or models answer", async () => {
    const secret = "a-very-private-sentence";
    const failing = scriptedModel({
      reply: (_, index) =>
        index === 0 ? { pieces: [secret] } : { refuseWith: new EngineError("ort_failed", "device lost") },
    });
    const { chat, lines, takeErrors } = createHarness({ models: [failing] });
    const messages = [{ role: "user", content: secret }];
    await chat({ messages });
    await chat({ messages, stop: [secret], user: secret, metadata: { secret } });
    await chat({ messages: [{ role: secret, content: secret }] });
    expect(JSON.stringify([...lines, ...takeErrors()])).not.toContain(secret);
  });
});

describe("browsers", () => {
  const origin = "https://app.example.org";

  it("get no leave by default", async () => {
    const response = await createHarness().chat({}, { origin });
    expect(response.headers.has("access-control-allow-origin")).toBe(false);
  });

  it.each([
    [[origin], origin, origin],
    [["*"], origin, "*"],
    [[origin], "https://other.example.org", null],
  ])("with %j configured, %s is answered with %s, in errors too", async (corsOrigins, from, allowed) => {
    const { chat, send } = createHarness({ config: { corsOrigins, apiKeys: ["key"] } });
    const preflight = await send("OPTIONS", "/v1/chat/completions", undefined, {
      origin: from,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
    });
    expect(preflight.status).toBe(204);
    const unauthorized = await chat({}, { origin: from });
    expect(unauthorized.status).toBe(401);
    for (const response of [preflight, unauthorized, await chat({}, { origin: from, authorization: "Bearer key" })]) {
      expect(response.headers.get("access-control-allow-origin")).toBe(allowed);
    }
  });
});

it("while draining, work is refused with 503 and a wait, and reading goes on", async () => {
  const model = scriptedModel();
  const { chat, lifecycle, send } = createHarness({ models: [model] });
  lifecycle.drain();
  const response = await chat({ messages: hello });
  expect(await readError(response)).toMatchObject({ status: 503, error: { type: "server_error" } });
  expect(response.headers.get("retry-after")).toBe("1");
  expect(model.calls).toHaveLength(0);
  expect((await send("GET", "/v1/models")).status).toBe(200);
});
