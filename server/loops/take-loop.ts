// Owns which loops this gateway works at: the oldest of those that it has everything for, only while nobody else trains on its device.
// It does not know what the work is (loop-run.ts).
import type { Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import type { DeviceTurn } from "../work/device-turn.ts";
import { addEvent } from "../work/event-rows.ts";
import { claimJob } from "../work/lease-rows.ts";
import * as words from "./events.ts";
import { type LoopContext, LoopRun } from "./loop-run.ts";
import { workableLoops } from "./loop-rows.ts";
import { loopTables, type StoredLoop } from "./records.ts";

export interface TakeLoopOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly context: LoopContext;
  readonly log: Log;
  readonly database: Database;
  readonly turn: DeviceTurn;
  /** Why this gateway cannot work at a loop; null when it can. */
  readonly obstacleOf: (loop: StoredLoop) => Promise<string | null>;
}

export class TakeLoop {
  readonly #options: TakeLoopOptions;
  readonly #obstacles = new Map<string, string>();

  constructor(options: TakeLoopOptions) {
    this.#options = options;
  }

  /** Takes a loop; null when there is none for this gateway. */
  take(): Promise<LoopRun | null> {
    return this.#options.turn.take((giveBack) => this.#claim(giveBack));
  }

  async #claim(giveBack: () => void): Promise<LoopRun | null> {
    const { database, owner, leaseMs, context } = this.#options;
    const able = [];
    for (const loop of await workableLoops(database)) if (await this.#isAble(loop)) able.push(loop);
    if (able.length === 0) return null;
    const jobs = able.map(({ id }) => id);
    const claim = await claimJob(database, loopTables, { owner, leaseMs, jobs, statuses: ["queued", "running"] });
    const loop = able.find(({ id }) => id === claim?.jobId);
    return claim === null || loop === undefined ? null : new LoopRun(context, loop, claim, giveBack);
  }

  async #isAble(loop: StoredLoop): Promise<boolean> {
    const { obstacleOf, log, database } = this.#options;
    const obstacle = await obstacleOf(loop);
    if (obstacle === null) {
      this.#obstacles.delete(loop.id);
      return true;
    }
    if (this.#obstacles.get(loop.id) !== obstacle) {
      log.warn("a loop waits for another gateway", { loop: loop.id, obstacle });
      await addEvent(database, loopTables, loop.id, words.waits(obstacle));
    }
    this.#obstacles.set(loop.id, obstacle);
    return false;
  }
}
