// A training makes way for who is served: what it starts does, too.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const module_ = join(import.meta.dirname, "../../../runtime/ort/background.ts");

/** Nice value and scheduling policy (proc(5), fields 19 and 41) of a process in the background, and of one that it starts. */
function inBackground(isIdle: boolean): readonly (readonly [nice: string, policy: string])[] {
  const read = `require("node:fs").readFileSync("/proc/self/stat", "utf8")`;
  const program = `
    import { execFileSync } from "node:child_process";
    import { readFileSync } from "node:fs";
    import { goToBackground } from ${JSON.stringify(module_)};
    goToBackground({ isIdle: ${isIdle} });
    process.stdout.write(readFileSync("/proc/self/stat", "utf8"));
    process.stdout.write(execFileSync(process.execPath, ["-p", ${JSON.stringify(read)}]));`;
  const said = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
  return said.trim().split(/\n+/).map(fields);
}

function fields(stat: string): readonly [string, string] {
  // The name of the program, which may hold blanks, is the second.
  const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return [rest[16] ?? "", rest[38] ?? ""];
}

test.runIf(process.platform === "linux")("behind others at a lower priority, and idle where it is told to be", () => {
  const [, own] = fields(readFileSync("/proc/self/stat", "utf8"));
  expect(inBackground(false)).toEqual([
    ["10", own],
    ["10", own],
  ]);
  expect(inBackground(true)).toEqual([
    ["10", "5"],
    ["10", "5"],
  ]);
});
