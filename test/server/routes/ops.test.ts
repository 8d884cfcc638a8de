import { describe, expect, it } from "vitest";
import { createHarness, readError } from "../../support/app-harness.ts";

it("health answers as long as the process does, draining or not ready", async () => {
  const { lifecycle, send } = createHarness({ isReady: false });
  lifecycle.drain();
  const response = await send("GET", "/health");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "ok" });
});

it("ready shows every model and its device", async () => {
  const response = await createHarness().send("GET", "/ready");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    status: "ready",
    models: [{ id: "realm", role: "assistant", device: "cpu", precision: "float32", ready: true }],
  });
});

it.each([
  ["not_ready", false, false],
  ["draining", true, true],
])("ready says %s with 503, so that a load balancer turns away", async (status, isReady, isDraining) => {
  const { lifecycle, send } = createHarness({ isReady });
  if (isDraining) lifecycle.drain();
  const response = await send("GET", "/ready");
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ status });
});

it("metrics are Prometheus text", async () => {
  const response = await createHarness().send("GET", "/metrics");
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(await response.text()).toContain("# TYPE realchat_requests_total counter");
});

describe("a method an endpoint does not have is answered with 405 and those it has", () => {
  it.each([
    ["GET", "/v1/chat/completions", "POST"],
    ["OPTIONS", "/v1/chat/completions", "POST"],
    ["PATCH", "/v1/models/realm", "GET, HEAD, DELETE"],
    ["PUT", "/v1/models/realm/load", "POST"],
    ["POST", "/v1/models", "GET, HEAD"],
    ["POST", "/health", "GET, HEAD"],
    ["PUT", "/ready", "GET, HEAD"],
    ["PATCH", "/metrics", "GET, HEAD"],
  ])("%s %s", async (method, path, allow) => {
    const response = await createHarness().send(method, path);
    expect(await readError(response)).toMatchObject({ status: 405, error: { code: "method_not_supported" } });
    expect(response.headers.get("allow")).toBe(allow);
  });
});

it.each(["/", "/v1", "/v1/", "/v1/completion", "/v2/models", "/v1/models/", "/HEALTH", "/v1/chat/completions/x"])(
  "the unknown path %s is a 404 that names it",
  async (path) => {
    const { status, error } = await readError(await createHarness().send("GET", path));
    expect({ status, code: error.code }).toEqual({ status: 404, code: "unknown_url" });
    expect(error.message).toContain(`GET ${path}`);
  },
);

it("HEAD is answered as GET without a body", async () => {
  const response = await createHarness().send("HEAD", "/v1/models");
  expect(response.status).toBe(200);
  expect(await response.text()).toBe("");
});
