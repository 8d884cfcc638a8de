// Owns one call of the C library: giving freed memory back to the system. glibc keeps what ORT's threads freed in their
// arenas for later; a process that unloads a model wants it gone. Elsewhere this does nothing.
import koffi from "koffi";

let trim: (() => void) | undefined;

/** Returns freed host memory to the operating system where the C library can be asked to. */
export function releaseFreedMemory(): void {
  trim ??= findTrim();
  trim();
}

function findTrim(): () => void {
  if (process.platform !== "linux") return () => {};
  try {
    const mallocTrim = koffi.load("libc.so.6").func("malloc_trim", "int", ["size_t"]);
    return () => void mallocTrim(0);
  } catch {
    return () => {}; // another C library than glibc
  }
}
