// Shows how far an import is: one bar that redraws itself on a terminal, a line every tenth elsewhere.
// It knows a text stream and a clock, not what is imported.
import type { ImportProgress } from "./import-checkpoint.ts";

const BAR_CELLS = 30;
const REDRAW_MS = 100;

const LABELS = { checksums: "reading checkpoint", weights: "writing weights" } as const;

export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface ProgressDisplay {
  update(progress: ImportProgress): void;
  /** Leaves the cursor on an empty line, finished or not. */
  end(): void;
}

/** Draws onto `stream` (stderr: stdout belongs to results). */
export function progressDisplay(
  stream: ProgressStream,
  nowMs: () => number = () => performance.now(),
): ProgressDisplay {
  const isTerminal = stream.isTTY === true;
  let phase: ImportProgress["phase"] | null = null;
  let startedMs = 0;
  let drawnMs = 0;
  let shownTenths = 0;
  let isOnLine = false;

  const finishLine = () => {
    if (isOnLine) stream.write("\n");
    isOnLine = false;
  };

  return {
    update(progress) {
      const now = nowMs();
      if (progress.phase !== phase) {
        finishLine();
        phase = progress.phase;
        startedMs = now;
        drawnMs = Number.NEGATIVE_INFINITY;
        shownTenths = 0;
      }
      const share = progress.total === 0 ? 1 : Math.min(1, progress.done / progress.total);
      const isComplete = progress.done >= progress.total;
      if (isTerminal) {
        if (!isComplete && now - drawnMs < REDRAW_MS) return;
        drawnMs = now;
        stream.write(
          `\r${LABELS[progress.phase]} ${bar(share)} ${percent(share)}${remaining(share, now - startedMs)}\x1b[K`,
        );
        isOnLine = true;
      } else {
        const tenths = Math.floor(share * 10);
        if (tenths <= shownTenths) return;
        shownTenths = tenths;
        stream.write(`${LABELS[progress.phase]} ${percent(share)}\n`);
      }
    },
    end: finishLine,
  };
}

function bar(share: number): string {
  const full = Math.floor(share * BAR_CELLS);
  return `[${"█".repeat(full)}${" ".repeat(BAR_CELLS - full)}]`;
}

function percent(share: number): string {
  return `${String(Math.floor(share * 100)).padStart(3)} %`;
}

function remaining(share: number, elapsedMs: number): string {
  if (share === 0 || share === 1 || elapsedMs < 1000) return "";
  const seconds = Math.ceil((elapsedMs * (1 - share)) / share / 1000);
  return ` ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
}
