// Loads and unloads both models of the seed pair ten times and prints the RSS in bytes after each, as a JSON list.
// Run by memory.test.ts in a process of its own.
import { collect, openTestEngine, requestOf } from "../support/engine.ts";

const rss: number[] = [];
for (let load = 0; load < 10; load += 1) {
  for (const id of ["usergpt", "realm"]) {
    const { engine } = await openTestEngine({ slots: 16 }, { id });
    await Promise.all([2, 3, 4].map((last) => collect(engine, requestOf([0, last], { maxTokens: 50 }))));
    await engine.close();
  }
  // What was freed goes back to the system a moment later.
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  rss.push(process.memoryUsage().rss);
}
process.stdout.write(JSON.stringify(rss));
