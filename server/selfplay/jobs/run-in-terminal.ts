// Owns a job in the terminal: on a running gateway, or on one that this process starts for it, with a line that tells how it goes.
// Ctrl-C lets go of the job, which loses nothing: `--job` follows it again, where it was left.
import type { Config } from "../../config.ts";
import { createLog } from "../../log.ts";
import { startServer } from "../../main.ts";
import type { JobCommand } from "../cli-options.ts";
import { JobView } from "./job-view.ts";
import { RemoteJobs } from "./remote-job.ts";

export interface Terminal {
  /** Whether a line can be written over. */
  readonly isLive: boolean;
  write(text: string): void;
  nowMs(): number;
}

/** Where nothing can be written over, a line now and then is enough. */
const stillLineMs = 5000;

/** Runs until the job has ended and its data is saved; false when it did not complete. */
export async function runJob(
  { url, job, body, out, format }: JobCommand,
  config: Config,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<boolean> {
  if (url !== null) return follow(new RemoteJobs(url, config.apiKeys[0]));
  // Only now: the native library is for those who play here.
  const { openRegistry } = await import("../../registry.ts");
  const own = { ...config, host: "127.0.0.1", port: 0, drainTimeoutS: 0 };
  const server = await startServer(own, openRegistry, createLog("silent"), signal);
  try {
    return await follow(new RemoteJobs(server.url, config.apiKeys[0]));
  } finally {
    await server.drain();
  }

  async function follow(jobs: RemoteJobs): Promise<boolean> {
    const id = job ?? (await jobs.create(body, signal));
    terminal.write(`${id}\n`);
    const view = new JobView();
    let shownMs = Number.NEGATIVE_INFINITY;
    for await (const event of jobs.events(id, signal)) {
      const nowMs = terminal.nowMs();
      if (!view.take(event, nowMs) || nowMs - shownMs < (terminal.isLive ? 100 : stillLineMs)) continue;
      shownMs = nowMs;
      terminal.write(terminal.isLive ? `\r\u001b[2K${view.line(nowMs)}` : `${view.line(nowMs)}\n`);
    }
    const end = terminal.isLive ? "\r\u001b[2K" : "";
    if (signal.aborted) {
      terminal.write(`${end}Left unfinished. Go on with: --job ${id}\n`);
      return false;
    }
    terminal.write(`${end}${view.summary(terminal.nowMs())}\n`);
    if (out !== null) {
      await jobs.save(id, format, out, signal);
      terminal.write(`saved ${out}\n`);
    }
    return view.status === "completed";
  }
}
