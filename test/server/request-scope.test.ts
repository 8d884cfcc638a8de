import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { createLifecycle } from "../../server/lifecycle.ts";
import { openRequestScope } from "../../server/request-scope.ts";

it("a request's work ends when its client hangs up, as cancelled", () => {
  const client = new AbortController();
  const { signal } = openRequestScope(client.signal, createLifecycle());
  client.abort();
  expect(signal.reason).toMatchObject({ code: "cancelled" });
});

it("and when the server stops, as an answer that invites to try again", () => {
  const lifecycle = createLifecycle();
  const { signal } = openRequestScope(new AbortController().signal, lifecycle);
  lifecycle.drain();
  expect(signal.aborted).toBe(false);
  lifecycle.stop();
  expect(signal.reason).toMatchObject({ status: 503 });
});

it("whatever ended before it began ends it at once", () => {
  const lifecycle = createLifecycle();
  expect(openRequestScope(AbortSignal.abort(), lifecycle).signal.aborted).toBe(true);
  lifecycle.stop();
  expect(lifecycle.isDraining).toBe(true);
  expect(openRequestScope(new AbortController().signal, lifecycle).signal.aborted).toBe(true);
});

it("a closed scope leaves no listener behind and is not ended any more", () => {
  const lifecycle = createLifecycle();
  const client = new AbortController();
  const scope = openRequestScope(client.signal, lifecycle);
  scope.close();
  for (const signal of [lifecycle.stopSignal, client.signal]) expect(getEventListeners(signal, "abort")).toEqual([]);
  client.abort();
  expect(scope.signal.aborted).toBe(false);
});
