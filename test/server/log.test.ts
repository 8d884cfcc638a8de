import { describe, expect, it } from "vitest";
import { createLog } from "../../server/log.ts";

function written(level: Parameters<typeof createLog>[0], write: (log: ReturnType<typeof createLog>) => void) {
  const lines: string[] = [];
  write(createLog(level, (line) => lines.push(line)));
  return lines.map((line) => JSON.parse(line) as { level: string; error?: unknown; count?: unknown });
}

describe("the log", () => {
  it.each([
    ["debug", ["debug", "info", "warn", "error"]],
    ["info", ["info", "warn", "error"]],
    ["warn", ["warn", "error"]],
    ["error", ["error"]],
    ["silent", []],
  ] as const)("at level %s writes %j", (level, expected) => {
    const lines = written(level, (log) => {
      for (const own of ["debug", "info", "warn", "error"] as const) log[own]("said");
    });
    expect(lines.map((line) => line.level)).toEqual(expected);
  });

  it("shows errors with their causes, and numbers JSON does not know", () => {
    const [line] = written("info", (log) =>
      log.info("x", { error: new TypeError("outer", { cause: new Error("inner") }), count: 5n }),
    );
    expect(line?.error).toMatchObject({ name: "TypeError", message: "outer", cause: { message: "inner" } });
    expect(line?.count).toBe("5");
  });

  it("is one line per call, whatever is said", () => {
    const lines: string[] = [];
    createLog("info", (line) => lines.push(line)).info("two\nlines", { path: "a\r\nb" });
    expect(lines[0]).not.toMatch(/[\r\n]/);
  });
});
