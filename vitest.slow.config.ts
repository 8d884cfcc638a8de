// Owns how the slow suites are run: memory, endurance and devices, one file at a time, since they measure the whole machine.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/slow/**/*.test.ts"],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
    // Memory is only comparable after a collection.
    execArgv: ["--expose-gc"],
  },
});
