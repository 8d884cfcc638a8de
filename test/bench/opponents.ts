// Installs what is compared with into folders of the bench's own, at fixed versions: no dependency of the product.
// It knows packages and npm; what is done with them is in runners/.
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { RunnerName } from "./runner.ts";

interface Installation {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
}

const TIMEOUT_MS = 300_000;
const LLAMA_VERSION = "3.22.0";
/** Prebuilt for the CPU; the GPU variants that would come along as optional dependencies are half a gigabyte. */
const LLAMA_BINARIES: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "win32-x64": "win-x64",
  "win32-arm64": "win-arm64",
};

/** Makes the runner's packages available; resolves to why that is impossible, or null when they are there. */
export async function installOpponent(
  name: RunnerName,
  opponentsFolder: string,
  say: (line: string) => void,
): Promise<string | null> {
  const installation = installationOf(name);
  if (installation === null) return null;
  if (typeof installation === "string") return installation;
  const folder = join(opponentsFolder, name);
  if (await isInstalled(folder, installation)) return null;
  say(
    `installing ${Object.entries(installation.dependencies)
      .map((pair) => pair.join("@"))
      .join(", ")}`,
  );
  try {
    await mkdir(folder, { recursive: true });
    const { dependencies } = installation;
    await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
    const flags = ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...installation.flags];
    const isWindows = process.platform === "win32";
    await promisify(execFile)("npm", flags, { cwd: folder, timeout: TIMEOUT_MS, shell: isWindows });
    return null;
  } catch (error) {
    return `npm could not install it: ${reasonOf(error)}`;
  }
}

function installationOf(name: RunnerName): Installation | string | null {
  switch (name) {
    case "transformers":
      return { dependencies: { "@huggingface/transformers": "4.3.1" }, flags: [] };
    case "llama.cpp": {
      const platform = `${process.platform}-${process.arch}`;
      const binaries = LLAMA_BINARIES[platform];
      if (binaries === undefined) return `node-llama-cpp has no binaries for ${platform}`;
      return {
        dependencies: { "node-llama-cpp": LLAMA_VERSION, [`@node-llama-cpp/${binaries}`]: LLAMA_VERSION },
        flags: ["--omit=optional"],
      };
    }
    case "realchat":
    case "onnxruntime-node":
    case "onnxruntime-node-cut":
      return null;
    default:
      throw new Error(`unknown program ${String(name satisfies never)}`);
  }
}

async function isInstalled(folder: string, { dependencies }: Installation): Promise<boolean> {
  for (const [name, version] of Object.entries(dependencies)) {
    const text = await readFile(join(folder, "node_modules", name, "package.json"), "utf8").catch(() => null);
    if (text === null || (JSON.parse(text) as { version: string }).version !== version) return false;
  }
  return true;
}

function reasonOf(error: unknown): string {
  const { stderr } = error as { stderr?: string };
  const line = (stderr ?? "").split("\n").find((candidate) => /^npm error [^A]/.test(candidate));
  const text = line ?? (error instanceof Error ? error.message : String(error));
  return text.replace(/^npm error /, "").trim();
}
