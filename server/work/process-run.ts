// Owns a piece of work that is done by a process: it is started, what it says is heard line by line and in order, and it is asked to stop,
// once. What is said and what comes of it is the work's own.
import type { Claim } from "./lease-rows.ts";
import { type WorkCommand, WorkProcess } from "./work-process.ts";
import type { StopReason, Work } from "./worker.ts";

export abstract class ProcessRun implements Work {
  readonly claim: Claim;
  readonly #giveBack: () => void;
  #process: WorkProcess | null = null;
  #stopReason: StopReason | null = null;

  /** `giveBack` is called when nothing of it runs any more. */
  constructor(claim: Claim, giveBack: () => void) {
    this.claim = claim;
    this.#giveBack = giveBack;
  }

  get jobId(): string {
    return this.claim.jobId;
  }

  /** Why it was asked to stop; null while it was not. */
  get stopReason(): StopReason | null {
    return this.#stopReason;
  }

  stop(reason: StopReason): void {
    this.#stopReason ??= reason;
    this.#process?.stop();
  }

  kill(): void {
    this.#process?.kill();
  }

  /** Throws what the store throws: whoever has it back goes on from what the process had written down. */
  async run(): Promise<void> {
    try {
      const child = new WorkProcess(await this.describe());
      this.#process = child;
      if (this.#stopReason !== null) child.stop();
      try {
        for await (const line of child.lines()) await this.hear(line);
      } catch (error) {
        child.stop();
        await child.ended();
        throw error;
      }
      const { complaints } = await child.ended();
      await this.settle(complaints);
    } finally {
      this.#giveBack();
    }
  }

  /** What is to be started. */
  protected abstract describe(): Promise<WorkCommand>;

  /** A line that it said. */
  protected abstract hear(line: string): Promise<void>;

  /** It has ended; `complaints` are its last lines of standard error. */
  protected abstract settle(complaints: readonly string[]): Promise<void>;
}
