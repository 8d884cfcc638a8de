// Owns finding a Python that can train: which program, and whether it has what the recipe needs.
// It knows the names of packages, not what they do.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const requirementsFile = fileURLToPath(new URL("../recipes/pytorch/requirements.txt", import.meta.url));
const MINIMUM = [3, 10] as const;

/** A program, found or named, cannot train; the message is a sentence for the user. */
export class PythonError extends Error {
  override readonly name = "PythonError";
}

const PROBE = `
import sys, importlib.util as util
print(*sys.version_info[:2], *[name for name in sys.argv[1:] if util.find_spec(name) is None])
`;

/**
 * Checks that `program` runs, is new enough and has the packages. Throws PythonError with what to do about it; aborting
 * ends the probe.
 */
export async function checkPython(program: string, packages: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn(program, ["-c", PROBE, ...packages], { stdio: ["ignore", "pipe", "pipe"], signal });
  let output = "";
  let complaint = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  let code: unknown;
  try {
    [code] = await once(child, "close");
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new PythonError(
      `There is no program "${program}": install Python ${MINIMUM.join(".")} or newer, or name one with --python or REALCHAT_PYTHON`,
      { cause },
    );
  }
  const match = /^(\d+) (\d+)(.*)$/m.exec(output);
  if (code !== 0 || match === null) {
    const said = complaint.trim().split("\n").at(-1) ?? "";
    throw new PythonError(`"${program}" is no Python that works${said === "" ? "" : ` (${said})`}`);
  }
  const [, major, minor, missing = ""] = match;
  if (Number(major) < MINIMUM[0] || (Number(major) === MINIMUM[0] && Number(minor) < MINIMUM[1])) {
    throw new PythonError(
      `"${program}" is Python ${major}.${minor}, and the recipe needs ${MINIMUM.join(".")} or newer: name another with --python`,
    );
  }
  const names = missing.trim().split(" ").filter(Boolean);
  if (names.length > 0) {
    throw new PythonError(
      `"${program}" has no ${names.join(" and no ")}: install what the recipe needs with  ${program} -m pip install -r ${requirementsFile}`,
    );
  }
}
