// Owns which versions of what made a dialogue: the gateway's own, its runtime's and Node's.
// Read from package.json, where versions are pinned exactly.
import { readFileSync } from "node:fs";

export interface Versions {
  readonly gateway: string;
  readonly onnxruntime: string;
  readonly node: string;
}

/** Reads them anew; call once. */
export function readVersions(): Versions {
  const file = new URL("../../../package.json", import.meta.url);
  const { version, dependencies } = JSON.parse(readFileSync(file, "utf8")) as {
    version: string;
    dependencies: Record<string, string>;
  };
  return {
    gateway: version,
    onnxruntime: dependencies["onnxruntime-node"] ?? "unknown",
    node: process.version.slice(1),
  };
}
