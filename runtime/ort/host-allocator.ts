// Owns what the process asks of the C library's allocator. glibc gives every thread an arena of its own and keeps there
// what was freed; a process that loads and unloads models wants few arenas, and the memory back.
// Elsewhere than on glibc all of this does nothing.
import { loadLibrary } from "./native-library.ts";

interface HostAllocator {
  readonly limitArenas: () => void;
  readonly releaseFreed: () => void;
  readonly releaseFreedAside: () => Promise<void>;
}

// malloc.h; the value is glibc's ABI.
const M_ARENA_MAX = -8;
/** ORT pools its tensors itself, so threads seldom meet here. */
const ARENAS = 2;

let found: HostAllocator | undefined;

/** Keeps the number of arenas small from now on. */
export function limitArenas(): void {
  allocator().limitArenas();
}

/** Returns freed host memory to the operating system. */
export function releaseFreedMemory(): void {
  allocator().releaseFreed();
}

/** The same off the event loop. */
export function releaseFreedMemoryAside(): Promise<void> {
  return allocator().releaseFreedAside();
}

function allocator(): HostAllocator {
  found ??= findAllocator();
  return found;
}

function findAllocator(): HostAllocator {
  const none = { limitArenas: () => {}, releaseFreed: () => {}, releaseFreedAside: () => Promise.resolve() };
  if (process.platform !== "linux") return none;
  try {
    const library = loadLibrary("libc.so.6");
    const mallopt = library.func("mallopt", "int", ["int", "int"]);
    const mallocTrim = library.func("malloc_trim", "int", ["size_t"]);
    return {
      limitArenas: () => void mallopt(M_ARENA_MAX, ARENAS),
      releaseFreed: () => void mallocTrim(0),
      releaseFreedAside: () => new Promise((resolve) => mallocTrim.async(0, () => resolve())),
    };
  } catch {
    return none; // another C library than glibc
  }
}
