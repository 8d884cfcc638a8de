// Loaded before a program that the loop starts (`node --import leash.ts?parent=PID&lock=FILE program.ts`): the program ends when
// whoever started it is gone, killed or not, and waits until an earlier one that used the same files is gone.
// It does not know what the program does.
import { DatabaseSync } from "node:sqlite";

const pollMs = 100;
const mostWaitMs = 120_000;

const { searchParams } = new URL(import.meta.url);
const parent = Number(searchParams.get("parent"));

// The operating system drops the lock with its process, however that ends.
const lock = new DatabaseSync(searchParams.get("lock") ?? "", { timeout: mostWaitMs });
lock.exec("BEGIN EXCLUSIVE");

// Whose parent is gone has been given another. Nothing may be written any more: not even what an ordinary end would write.
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
}, pollMs).unref();
