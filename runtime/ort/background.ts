// Owns how a process of this program that nobody waits for makes way for those that answer somebody. It does not know what it computes.
import { constants, getPriority, setPriority } from "node:os";
import { loadLibrary } from "./native-library.ts";

/** Linux: runs when nothing else would, and is interrupted at once by what does. */
const SCHED_IDLE = 5;

/**
 * Puts this process, the threads that it makes from now on and the processes that it starts behind all others: at a lower priority, and
 * with `isIdle` only where a core has nothing else to do, on systems that know such a thing.
 */
export function goToBackground({ isIdle }: { readonly isIdle: boolean }): void {
  setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
  if (!isIdle || process.platform !== "linux") return;
  try {
    const schedule = loadLibrary("libc.so.6").func("int sched_setscheduler(int pid, int policy, const int *parameter)");
    schedule(0, SCHED_IDLE, [0]);
  } catch {} // another C library: the lower priority is all there is
}
