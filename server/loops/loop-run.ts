// Owns a loop while it is worked at here, from the moment it was taken to the moment it is ended or put back: its process is started in
// its folder, and what it says is written down under the lease, in order. It decides nothing about other loops; take-loop.ts does.
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { type LoopEvent, parseLoopEvent } from "../../training/loop/loop-events.ts";
import { roundFolder } from "../../training/loop/round.ts";
import { SETTINGS_FILE } from "../../training/loop/run.ts";
import type { Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import { addEvent } from "../work/event-rows.ts";
import { type Claim, releaseLease } from "../work/lease-rows.ts";
import { ProcessRun } from "../work/process-run.ts";
import type { WorkCommand } from "../work/work-process.ts";
import { commitLoopStep, commitProgress, commitRound, commitSelfplayJob, endLoop } from "./commit-rows.ts";
import * as words from "./events.ts";
import type { LoopCommandOf } from "./loop-command.ts";
import { loopTables, type StoredLoop } from "./records.ts";

export interface LoopContext {
  readonly database: Database;
  readonly log: Log;
  readonly commandOf: LoopCommandOf;
  /** Where loops are, each in a folder of its own. */
  readonly loopsFolder: string;
  /** Where uploads lie under their ids: a loop runs there, so that what it writes down names them by these. */
  readonly filesFolder: string;
  /** Where accepted models go. */
  readonly modelsFolder: string;
  /** Where this gateway answers. */
  readonly url: string;
  /** One that this gateway takes; null where it wants none. */
  readonly apiKey: string | null;
  /** CPU threads of trainings. */
  readonly threads: number;
  /** Ends a self-play job, or lets it wait, with the loop that it plays for. */
  readonly steerSelfplay: (jobId: string, action: "cancel" | "pause") => Promise<void>;
  /** The folder of a served model; null where it is not served from one. */
  readonly folderOf: (modelId: string) => Promise<string | null>;
}

const maxAttempts = 3;
const retryMs = 2000;
/** Progress between two that are written down. */
const leastProgressMs = 500;
const brokenOff = "the process ended without a word";

export class LoopRun extends ProcessRun {
  readonly #context: LoopContext;
  readonly #loop: StoredLoop;
  #progressAt = 0;
  #selfplayJob: string | null;
  #last: Extract<LoopEvent, { event: "done" | "failed" }> | null = null;

  constructor(context: LoopContext, loop: StoredLoop, claim: Claim, giveBack: () => void) {
    super(claim, giveBack);
    this.#context = context;
    this.#loop = loop;
    this.#selfplayJob = loop.selfplayJob;
  }

  protected async describe(): Promise<WorkCommand> {
    const { commandOf, filesFolder, apiKey } = this.#context;
    // The judge is a model of this gateway, too.
    const environment = { ...process.env, REALCHAT_API_KEYS: apiKey ?? "", REALCHAT_JUDGE_KEY: apiKey ?? "none" };
    return commandOf(await this.#flags(), { folder: filesFolder, environment });
  }

  protected async hear(line: string): Promise<void> {
    const event = parseLoopEvent(line);
    if (event !== null) await this.#take(event);
  }

  async #flags(): Promise<string[]> {
    const { filesFolder, modelsFolder, loopsFolder, url, threads } = this.#context;
    const { id, plan } = this.#loop;
    const folder = loopFolderOf(loopsFolder, id);
    await mkdir(folder, { recursive: true });
    await mkdir(filesFolder, { recursive: true });
    const selfplay = Object.keys(plan.selfplay).length === 0 ? null : join(folder, "selfplay.json");
    if (selfplay !== null) await writeFile(selfplay, JSON.stringify(plan.selfplay));
    // From where it runs: nothing that it writes down says where this gateway keeps its data.
    const here = (path: string) => relative(filesFolder, path);
    const isBegun = (await stat(join(folder, SETTINGS_FILE)).catch(() => null)) !== null;
    const model = async (role: ModelRole) => {
      const found = await this.#context.folderOf(plan.begins[role].id);
      if (found === null) throw new Error(`The model ${plan.begins[role].id} is not served from a folder any more.`);
      return `--${role}=${here(found)}`;
    };
    return [
      ...plan.arguments,
      await model("user"),
      await model("assistant"),
      ...(selfplay === null ? [] : [`--selfplay=${here(selfplay)}`]),
      `--run-folder=${here(folder)}`,
      `--out=${here(modelsFolder)}`,
      `--url=${url}`,
      ...(plan.arguments.some((flag) => flag.startsWith("--judge=")) ? [`--judge-url=${url}/v1`] : []),
      `--threads=${threads}`,
      ...(isBegun ? ["--resume"] : []),
    ];
  }

  async #take(event: LoopEvent): Promise<void> {
    const { database } = this.#context;
    switch (event.event) {
      case "step":
        await commitLoopStep(database, this.claim, event.round, event.step, words.stepBegun(event.round, event.step));
        return;
      case "progress": {
        const now = Date.now();
        if (now - this.#progressAt < leastProgressMs) return;
        this.#progressAt = now;
        await commitProgress(database, this.claim, event.text);
        return;
      }
      case "selfplay":
        this.#selfplayJob = event.job;
        await commitSelfplayJob(database, this.claim, event.job);
        return;
      case "round": {
        const { round, accepted } = event;
        const reports = await this.#reports(round);
        await commitRound(database, this.claim, { ...event, reports }, words.roundEnded(round, accepted));
        return;
      }
      case "done":
      case "failed":
        this.#last = event;
        return;
      default:
    }
  }

  async #reports(round: number) {
    const folder = join(loopFolderOf(this.#context.loopsFolder, this.#loop.id), roundFolder(round));
    const read = (name: string) => readFile(join(folder, name), "utf8");
    return { json: await read("report.json"), markdown: await read("report.md"), html: await read("report.html") };
  }

  protected async settle(complaints: readonly string[]): Promise<void> {
    const { database, steerSelfplay } = this.#context;
    const action = this.stopReason === "cancelled" ? "cancel" : this.stopReason === "paused" ? "pause" : null;
    // Once more: it may have been created after the loop was stopped.
    if (action !== null && this.#selfplayJob !== null) await steerSelfplay(this.#selfplayJob, action);
    if (this.stopReason === "cancelled" || this.stopReason === "lost") return;
    if (this.#last?.event === "done") {
      await endLoop(database, this.claim, null, words.completed());
      return;
    }
    if (this.stopReason !== null) {
      await this.#putBack(0, true);
      return;
    }
    if (this.#last?.event === "failed") {
      await this.#fail(this.#last.message);
      return;
    }
    await this.#retry(complaints.at(-1) ?? brokenOff);
  }

  async #fail(reason: string): Promise<void> {
    await endLoop(this.#context.database, this.claim, reason, words.failed(reason));
  }

  async #retry(reason: string): Promise<void> {
    const { database, log } = this.#context;
    log.warn("a loop broke off", { loop: this.#loop.id, reason, attempts: this.claim.attempts });
    if (this.claim.attempts >= maxAttempts) {
      await this.#fail(`The loop broke off ${maxAttempts} times in a row: ${reason}`);
      return;
    }
    await addEvent(database, loopTables, this.#loop.id, words.brokenOff(reason));
    await this.#putBack(retryMs, false);
  }

  #putBack(delayMs: number, isNoAttempt: boolean): Promise<void> {
    return releaseLease(this.#context.database, loopTables, this.claim, { delayMs, isNoAttempt });
  }
}

/** A loop's own folder; it stays until the loop is deleted. */
export const loopFolderOf = (loopsFolder: string, id: string) => join(loopsFolder, id);
