// Stands in for `training/loop/work-cli.ts FLAGS`: speaks as it does, goes on where it was, stops as it does, and plays and trains nothing.
// It waits within steps as long as the file `pace.json` in the folder of all loops says, so that a test can stop it anywhere.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LoopEvent } from "../../training/loop/loop-events.ts";
import { parseLoopArguments } from "../../training/loop/options.ts";

export interface LoopPace {
  readonly stepMs: number;
  /** Ends without a word behind this step of round 1, as often as there are entries. */
  readonly crashes?: readonly string[];
  /** Fails for good behind this step of round 1. */
  readonly failsAt?: string;
}

const steps = ["play", "train-user", "report"];

const say = (event: LoopEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);

async function main(): Promise<number> {
  const command = parseLoopArguments(process.argv.slice(2));
  if (command.kind !== "loop") return 2;
  const { options } = command;
  const at = (name: string) => join(options.runFolder, name);
  const pace = JSON.parse(readFileSync(join(options.runFolder, "..", "pace.json"), "utf8")) as LoopPace;
  let isStopped = false;
  const stop = () => (isStopped = true);
  process.on("SIGTERM", stop);
  process.stdin.on("end", stop).on("error", stop).resume();
  writeFileSync(at("settings.json"), "{}");
  appendFileSync(at("started.jsonl"), `${JSON.stringify({ flags: process.argv.slice(2), key: process.env["REALCHAT_API_KEYS"], folder: basename(process.cwd()) })}\n`); // prettier-ignore
  const done = new Set(existsSync(at("done")) ? readFileSync(at("done"), "utf8").split("\n") : []);
  const crashes = existsSync(at("crashes")) ? readFileSync(at("crashes"), "utf8").length : 0;
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const step of steps) {
      if (done.has(`${round} ${step}`)) continue;
      say({ event: "step", round, step });
      say({ event: "progress", text: "half of it" });
      for (let waitedMs = 0; waitedMs < pace.stepMs; waitedMs += 5) {
        if (isStopped) return 130;
        await sleep(5);
      }
      if (round === 1 && pace.failsAt === step) {
        say({ event: "failed", message: "round 1 was made from another model than there is now" });
        return 2;
      }
      if (round === 1 && pace.crashes?.[crashes] === step) {
        appendFileSync(at("crashes"), "x");
        process.stderr.write("out of memory\n");
        return 7;
      }
      appendFileSync(at("done"), `${round} ${step}\n`);
    }
    const folder = at(join("rounds", String(round)));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "report.json"), JSON.stringify({ round }));
    writeFileSync(join(folder, "report.md"), `# Round ${round}\n`);
    writeFileSync(join(folder, "report.html"), `<h1>Round ${round}</h1>\n`);
    const model = `ft:usergpt:${options.name}-${round}`;
    say({ event: "round", round, user: model, assistant: "realm", accepted: [model] });
  }
  say({ event: "done" });
  return 0;
}

process.exitCode = await main();
process.stdin.destroy();
