import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHarness, readCompletion, readError } from "../../support/app-harness.ts";
import { chatPath, malformedRequests } from "../../support/malformed-requests.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const runsPerKind = 40;

describe(`${runsPerKind} malformed requests of every kind are each answered with a 4xx in OpenAI's shape`, () => {
  it.each(Object.entries(malformedRequests))("%s", { timeout: 60_000 }, async (kind, requests) => {
    const model = scriptedModel();
    const { chat, lines, send } = createHarness({
      models: [model],
      config: kind === "huge" ? { maxBodyBytes: 4096 } : {},
    });
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        const response = await send(request.method ?? "POST", request.path ?? chatPath, request.body, request.headers);
        const { status } = await readError(response);
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
      }),
      { numRuns: runsPerKind },
    );
    expect(model.calls).toHaveLength(0);
    await readCompletion(await chat({}));
    expect(lines.filter(({ level }) => level !== "info")).toEqual([]);
  });

  it("adds up to more than 500", () => {
    expect(Object.keys(malformedRequests).length * runsPerKind).toBeGreaterThan(500);
  });
});
