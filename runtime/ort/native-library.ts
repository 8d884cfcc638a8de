// Owns how native libraries are loaded: koffi takes its settings before the first one only. It knows none of their functions.
import koffi, { type LibraryHandle } from "koffi";

/** koffi runs a native call on a stack of its own; the default of 128 KiB is too little for loading a graph. */
const ASYNC_STACK_BYTES = 2 * 1024 * 1024;

/** Loads a library by its path, or by its name where the system's linker finds it. Throws an Error with the linker's words. */
export function loadLibrary(path: string): LibraryHandle {
  if (koffi.config().async_stack_size !== ASYNC_STACK_BYTES) {
    koffi.config({ async_stack_size: ASYNC_STACK_BYTES, resident_async_pools: 4 });
  }
  return koffi.load(path);
}
