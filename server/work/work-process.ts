// Owns a process that works for a long while at one thing: starts it, reads what it says line by line, asks it to stop, and ends it
// where it does not. It knows neither what the work is nor what the lines mean.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export interface WorkCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** Where it runs; without it, where this process does. */
  readonly folder?: string;
  /** Without it, that of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface ProcessEnd {
  /** null where a signal ended it. */
  readonly code: number | null;
  /** The last lines of its standard error. */
  readonly complaints: readonly string[];
}

const keptComplaints = 5;

export class WorkProcess {
  readonly #child;
  readonly #complaints: string[] = [];
  readonly #closed: Promise<number | null>;

  constructor({ program, args, folder, environment = process.env }: WorkCommand) {
    // A group of its own: a Ctrl-C in the gateway's terminal is the gateway's affair, and what it starts can be ended with it.
    // Its input ends when this process does, however that ends: it stops then.
    this.#child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: environment,
      ...(folder === undefined ? {} : { cwd: folder }),
    });
    this.#child.stdin.on("error", () => {});
    createInterface({ input: this.#child.stderr }).on("line", (line) => {
      if (line.trim() === "") return;
      this.#complaints.push(line.slice(0, 500));
      if (this.#complaints.length > keptComplaints) this.#complaints.shift();
    });
    this.#closed = once(this.#child, "close").then(
      ([code]) => code as number | null,
      (error: unknown) => {
        this.#complaints.push(error instanceof Error ? error.message : String(error));
        return null;
      },
    );
  }

  /** What it says; it waits while nobody takes the next line. */
  lines(): AsyncIterable<string> {
    return createInterface({ input: this.#child.stdout });
  }

  /** Asks it to write down how far it is and end. */
  stop(): void {
    this.#child.kill("SIGTERM");
  }

  /** Ends it now, with all that it started. */
  kill(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {} // it was quicker
  }

  /** Resolves when it has ended; never rejects. */
  async ended(): Promise<ProcessEnd> {
    const code = await this.#closed;
    return { code, complaints: this.#complaints };
  }
}
