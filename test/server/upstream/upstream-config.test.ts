import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError, readConfig } from "../../../server/config.ts";

const folder = mkdtempSync(join(tmpdir(), "realchat-upstreams-"));
const least = { id: "far", baseUrl: "https://far.example/v1", model: "far-1", contextWindow: 4096 };

function read(upstreams: unknown, env: Record<string, string> = {}) {
  const path = join(folder, "config.json");
  writeFileSync(path, JSON.stringify({ upstreams }));
  return readConfig(["--config", path], env).upstreams;
}

function sentence(upstreams: unknown, env: Record<string, string> = {}): string {
  try {
    read(upstreams, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("upstreams", () => {
  it("are none without a file that names them", () => {
    expect(readConfig([], {}).upstreams).toEqual([]);
  });

  it("have defaults for everything but who and where they are", () => {
    expect(read([least])).toEqual([
      {
        ...least,
        role: "assistant",
        apiKey: null,
        apiKeyEnv: null,
        prices: null,
        maxConcurrency: 16,
        timeoutS: 120,
        idleTimeoutS: 60,
        maxRetries: 4,
        retryDelayMs: 500,
        maxRetryDelayS: 60,
        extensions: false,
        userMode: "swap",
        maxTokensField: "max_completion_tokens",
        omit: [],
      },
    ]);
  });

  it("take their keys from the variable they name, and prices with what is missing filled in", () => {
    const [upstream] = read([{ ...least, apiKeyEnv: "FAR_KEY", prices: { inputPerMillion: 1, outputPerMillion: 2 } }], {
      FAR_KEY: " sk-1 ",
    });
    expect(upstream).toMatchObject({
      apiKey: "sk-1",
      prices: { inputPerMillion: 1, cachedInputPerMillion: 1, outputPerMillion: 2, currency: "USD" },
    });
  });
});

describe("what is wrong is one sentence that names field and file", () => {
  it.each([
    ["no list", {}, '"upstreams" must be a list'],
    ["no object", ["x"], '"upstreams[0]" must be an object, not "x"'],
    [
      "no address",
      [{ ...least, baseUrl: undefined }],
      '"upstreams[0].baseUrl" is missing: it must be an http or https address',
    ],
    [
      "another protocol",
      [{ ...least, baseUrl: "file:///etc/passwd" }],
      '"upstreams[0].baseUrl" must be an http or https address',
    ],
    ["an unknown field", [{ ...least, modle: "x" }], '"upstreams[0]" has an unknown field "modle"'],
    [
      "a wrong role",
      [{ ...least, role: "system" }],
      '"upstreams[0].role" must be one of user, assistant, not "system"',
    ],
    [
      "a window of half a token",
      [{ ...least, contextWindow: 0.5 }],
      '"upstreams[0].contextWindow" must be a whole number from 16 to 16777216, not 0.5',
    ],
    [
      "a negative price",
      [{ ...least, prices: { inputPerMillion: -1, outputPerMillion: 1 } }],
      '"upstreams[0].prices.inputPerMillion" must be a price of 0 or more, not -1',
    ],
    ["a field nobody sends", [{ ...least, omit: ["model"] }], '"upstreams[0].omit[0]" must be one of temperature,'],
    ["two of one name", [least, least], '"upstreams[1].id" is "far", as is another upstream\'s'],
    [
      "a name with spaces",
      [{ ...least, id: "far away" }],
      '"upstreams[0].id" must be a name of printable characters without spaces, not "far away"',
    ],
  ])("%s", (_, upstreams, expected) => {
    const message = sentence(upstreams);
    expect(message).toContain(expected);
    expect(message).toMatch(/ \(from \S+config\.json\)\.$/);
  });

  it("a variable that is not set is named, and so is the upstream", () => {
    for (const env of [{}, { FAR_KEY: " " }]) {
      expect(sentence([{ ...least, apiKeyEnv: "FAR_KEY" }], env)).toContain(
        'The upstream "far" takes its key from the environment variable FAR_KEY, which is not set (from ',
      );
    }
  });
});

describe("a key in the file is refused and not repeated", () => {
  it.each([
    ["as apiKey", { ...least, apiKey: "sk-secret" }, '"upstreams[0].apiKey" may not stand in a file'],
    ["as api_key", { ...least, api_key: "sk-secret" }, '"upstreams[0].api_key" may not stand in a file'],
    [
      "in place of the variable's name",
      { ...least, apiKeyEnv: "sk-secret" },
      "must be the name of an environment variable.",
    ],
    [
      "within the address",
      { ...least, baseUrl: "https://user:sk-secret@far.example/v1" },
      "without a user, a key or a query.",
    ],
    ["as a query", { ...least, baseUrl: "https://far.example/v1?key=sk-secret" }, "without a user, a key or a query."],
  ])("%s", (_, upstream, expected) => {
    const message = sentence([upstream]);
    expect(message.replace(/ \(from .*/, ".")).toContain(expected);
    expect(message).not.toContain("secret");
  });

  it("nor is one that cannot be sent", () => {
    expect(sentence([{ ...least, apiKeyEnv: "FAR_KEY" }], { FAR_KEY: "two\nsecrets" })).not.toContain("secrets");
  });
});
