// A trainer in a process of its own, ours or PyTorch's, seen from the bench: one JSON object a line in either direction.
// It knows no network; what is trained stands in the job.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** The first line that a process reads. */
export interface TrainJob {
  readonly checkpoint: string;
  /** A list of objects with `input_ids` and `labels`, rows of equal length. */
  readonly batchFile: string;
  /** Null trains all weights. */
  readonly loraRank: number | null;
  /** Of the frozen matrices; null for float32. PyTorch knows float32 only. */
  readonly baseBits: 4 | 8 | null;
  readonly isCheckpointing: boolean;
  readonly threads: number;
  readonly device: "cpu" | "cuda";
}

/** The first line that it says. */
export interface Opened {
  readonly description: string;
  readonly estimatedMegabytes?: number;
}

/** What it says after some steps. */
export interface Turn {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly losses: readonly number[];
  readonly peakMegabytes: number;
  /** What the process holds of a card's memory. Neither gives any back before its end: so it is the most that it held. */
  readonly cardMegabytes?: number;
}

export interface TrainProcess {
  readonly opened: Opened;
  steps(count: number): Promise<Turn>;
  close(): Promise<void>;
}

/** Rests instead of spinning where threads wait for each other: others are at work on the same cores. */
const PASSIVE = { OMP_WAIT_POLICY: "PASSIVE", GOMP_SPINCOUNT: "0", KMP_BLOCKTIME: "0" };

/** Starts it and waits until its network is loaded. */
export async function openTrainProcess(
  name: "realchat" | "pytorch",
  python: string,
  job: TrainJob,
): Promise<TrainProcess> {
  const threads = String(job.threads);
  const child =
    name === "realchat"
      ? spawn(process.execPath, [join(import.meta.dirname, "train-child.ts")])
      : spawn(python, [join(import.meta.dirname, "train_child.py")], {
          env: { ...process.env, ...PASSIVE, OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads },
        });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints = `${complaints}${text}`.slice(-2000)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (message: unknown): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`${name} ended: ${complaints.trim()}`);
    return JSON.parse(value);
  };
  const opened = (await ask(job)) as Opened;
  return {
    opened,
    async steps(count) {
      const turn = (await ask({ steps: count })) as Turn;
      return job.device === "cpu" ? turn : { ...turn, cardMegabytes: await cardMegabytes(child.pid) };
    },
    async close() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

async function cardMegabytes(pid: number | undefined): Promise<number> {
  const query = ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"];
  const { stdout } = await promisify(execFile)("nvidia-smi", query);
  const own = stdout.split("\n").find((line) => line.split(",")[0]?.trim() === String(pid));
  // It counts in MiB.
  return (Number(own?.split(",")[1] ?? Number.NaN) * 1024 ** 2) / 1e6;
}
