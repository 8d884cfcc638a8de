import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { scanModelFolders } from "../../server/model-scan.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function countedLoader() {
  let looks = 0;
  const finish: (() => void)[] = [];
  const refresh = () => {
    looks += 1;
    return new Promise<void>((resolve) => finish.push(resolve));
  };
  return { refresh, looks: () => looks, finish };
}

it("looks again so many seconds after the last look has ended, until told to stop", async () => {
  const loader = countedLoader();
  const stop = new AbortController();
  scanModelFolders(loader, 5, stop.signal);
  await vi.advanceTimersByTimeAsync(4999);
  expect(loader.looks()).toBe(0);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(loader.looks()).toBe(1);
  loader.finish[0]?.();
  await vi.advanceTimersByTimeAsync(5000);
  expect(loader.looks()).toBe(2);
  stop.abort();
  loader.finish[1]?.();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(loader.looks()).toBe(2);
});

it("never looks where it is switched off", async () => {
  const loader = countedLoader();
  scanModelFolders(loader, 0, new AbortController().signal);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(loader.looks()).toBe(0);
});
