// Owns writing a file so that it is there whole or not at all, and what names it: the SHA-256 of its bytes.
import { createHash } from "node:crypto";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Lower-case hexadecimal. */
export function sha256Of(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** After a crash there is the old file or the new one. Resolves to the SHA-256 of what was written. */
export async function writeWhole(path: string, content: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  const file = await open(partial, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
  return sha256Of(content);
}

/** With a line end behind it. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
