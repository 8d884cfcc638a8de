// Owns when the models folders are looked through again: every so many seconds, one look after the other, until told to stop.
// It does not know what is looked for.
import type { ModelLoader } from "./model-catalog.ts";

/** Begins to look `everyS` seconds from now; 0 never does. Keeps no process alive. */
export function scanModelFolders(loader: Pick<ModelLoader, "refresh">, everyS: number, signal: AbortSignal): void {
  if (everyS === 0) return;
  let timer: NodeJS.Timeout;
  const next = () => {
    if (!signal.aborted) timer = setTimeout(() => void loader.refresh(signal).finally(next), everyS * 1000).unref();
  };
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  next();
}
