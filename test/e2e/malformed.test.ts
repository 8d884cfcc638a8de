import fc from "fast-check";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { chatPath, malformedRequests } from "../support/malformed-requests.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServerProcess(["--max-body-bytes", "4096"]);
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const runsPerKind = 34;

it("500 malformed requests are each answered with a 4xx in OpenAI's shape, and the next good one is served", async () => {
  let sent = 0;
  for (const requests of Object.values(malformedRequests)) {
    for (const { method = "POST", path = chatPath, headers = {}, body } of fc.sample(requests, {
      numRuns: runsPerKind,
      seed: 1,
    })) {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      sent += 1;
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(500);
      if (method === "HEAD") continue;
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      expect(Object.keys(error).toSorted()).toEqual(["code", "message", "param", "type"]);
      expect(error["message"]).toEqual(expect.stringMatching(/\S/));
    }
  }
  expect(sent).toBeGreaterThan(500);
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const good = await client.chat.completions.create({
    model: "realm",
    messages: [{ role: "user", content: "Hello!" }],
  });
  expect(good.choices[0]!.message.content).toBeTruthy();
  expect(server.logged().filter(({ level }) => level === "error")).toEqual([]);
});
