// The store's promises on both databases, the embedded one and a real PostgreSQL: one code path, so one list of rules.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Database } from "../../../../server/store/database.ts";
import { findDialogue, listDialogues } from "../../../../server/selfplay/store/dialogue-store.ts";
import { eventsAfter } from "../../../../server/selfplay/store/event-store.ts";
import {
  cancelIdleDialogues,
  deleteJob,
  findJob,
  insertJob,
  listJobs,
  moveJob,
  tallyDialogues,
} from "../../../../server/selfplay/store/job-store.ts";
import {
  claimDialogue,
  commitTurn,
  commitVerdict,
  type DialogueEnd,
  endDialogue,
  releaseDialogue,
  renewLeases,
} from "../../../../server/selfplay/store/lease-store.ts";
import { migrate } from "../../../../server/store/migrate.ts";
import { migrations } from "../../../../server/store/migrations.ts";
import { openPglite } from "../../../../server/store/pglite-database.ts";
import { openPostgres } from "../../../../server/store/postgres-database.ts";
import { LeaseLostError, type NewJob, type StoredTurn } from "../../../../server/selfplay/store/records.ts";
import { type PostgresServer, startPostgres } from "../../../support/postgres.ts";

const leaseMs = 60_000;
const newJob = (id: string, changes: Partial<NewJob> = {}): NewJob => ({
  id,
  seed: 7,
  count: 2,
  concurrency: null,
  budgetTokens: null,
  budgetMoney: null,
  request: { count: 2 },
  plan: { simulator: "learned" },
  metadata: { team: "a" },
  seedItems: [],
  ...changes,
});
const turn = (ordinal: number, changes: Partial<StoredTurn> = {}): StoredTurn => ({
  ordinal,
  role: "user",
  turn: 1,
  content: "Hello",
  isKept: true,
  firstTokenMs: 1.5,
  durationMs: 4,
  origin: {
    cause: "end_token",
    seed: Number.MAX_SAFE_INTEGER,
    usage: { promptTokens: 10, cachedTokens: 4, completionTokens: 3 },
    tokenIds: [5, 6, 7],
  },
  ...changes,
});
const end: DialogueEnd = {
  status: "completed",
  stopReason: "max_turns",
  stoppedBy: null,
  error: null,
  record: { seed: 7 },
  takenBack: [],
};
const claim = async (database: Database, job: string, owner = "a", ms = leaseMs) => {
  const lease = await claimDialogue(database, { owner, leaseMs: ms, jobs: [job] });
  if (lease === null) throw new Error("There was nothing to take.");
  return lease;
};
const all = { after: -1, limit: 10, statuses: [], stopReasons: [], simulators: [], withoutFlags: [] };

let server: PostgresServer;
let databases: Record<string, Database>;
beforeAll(async () => {
  server = await startPostgres();
  const url = await server.createDatabase("store");
  databases = {
    pglite: await openPglite(mkdtempSync(join(tmpdir(), "realchat-store-"))),
    postgresql: await openPostgres(url, () => {}),
  };
}, 180_000);
afterAll(async () => {
  for (const database of Object.values(databases)) await database.close();
  await server.stop();
});

describe.each(["pglite", "postgresql"] as const)("on %s", (kind) => {
  let database: Database;
  let jobs = 0;
  let id: string;
  beforeEach(async () => {
    database = databases[kind]!;
    await migrate(database);
    id = `job_${(jobs += 1)}`;
  });

  it("migrations are applied once, by whoever comes first, and a newer database is refused", async () => {
    await database.query(
      "DROP TABLE loop_rounds, loop_events, loops, fine_tuning_events, fine_tuning_jobs, files, selfplay_events, selfplay_turns, selfplay_dialogues, selfplay_jobs, realchat_migrations",
    );
    const applied = await Promise.all([migrate(database), migrate(database), migrate(database)]);
    expect(applied.map((names) => names.length).toSorted((a, b) => a - b)).toEqual([0, 0, migrations.length]);
    await expect(migrate(database, [])).rejects.toThrow("written by a newer version");
    const extra = { name: "more", statements: ["CREATE TABLE more (a integer)", "no SQL"] };
    await expect(migrate(database, [...migrations, extra])).rejects.toThrow(/syntax/);
    await expect(database.query("SELECT FROM more")).rejects.toThrow(/more/);
    expect(await migrate(database)).toEqual([]);
  });

  it("a job comes back as it was written", async () => {
    const job = await insertJob(
      database,
      newJob(id, {
        seed: -Number.MAX_SAFE_INTEGER,
        budgetTokens: 5,
        budgetMoney: 0.5,
        seedItems: [{ id: "1" }, { id: "2" }],
      }),
    );
    expect(job).toMatchObject({
      id,
      seed: -Number.MAX_SAFE_INTEGER,
      status: "queued",
      budgetTokens: 5,
      budgetMoney: 0.5,
      metadata: { team: "a" },
    });
    expect(await findJob(database, id)).toMatchObject({ id, lastEvent: 1, startedAtMs: null });
    expect(Math.abs(job.createdAtMs - Date.now())).toBeLessThan(60_000);
    const [, second] = await listDialogues(database, id, all);
    expect(second).toMatchObject({ index: 1, status: "queued", seedItem: { id: "2" }, turns: [] });
  });

  it("a turn comes back as it was sampled, with what no text can hold left out of its content alone", async () => {
    await insertJob(database, newJob(id));
    const lease = await claim(database, id);
    await commitTurn(database, lease, turn(0, { content: "a\u0000b\ud800" }), 0.25, leaseMs);
    const stored = await findDialogue(database, id, 0);
    expect(stored?.turns).toEqual([{ ...turn(0), content: "ab\ufffd" }]);
    expect(await findJob(database, id)).toMatchObject({
      turns: 1,
      money: 0.25,
      usage: { user: { promptTokens: 10, cachedTokens: 4, prefilledTokens: 6, completionTokens: 3 } },
    });
  });

  it("a dialogue has one player at a time, and ten that ask at once get ten", async () => {
    await insertJob(database, newJob(id, { count: 10 }));
    const leases = await Promise.all(
      Array.from({ length: 12 }, (_, n) => claimDialogue(database, { owner: `${n}`, leaseMs, jobs: [id] })),
    );
    const taken = leases.flatMap((lease) => lease?.index ?? []);
    // Two that meet at one row may both find the next one locked; what is left is found by asking again.
    for (;;) {
      const next = await claimDialogue(database, { owner: "late", leaseMs, jobs: [id] });
      if (next === null) break;
      taken.push(next.index);
    }
    expect(taken.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("who let a lease run out can write nothing once another has taken the dialogue over", async () => {
    await insertJob(database, newJob(id, { count: 1 }));
    const first = await claim(database, id, "first", 1);
    await commitTurn(database, first, turn(0), 0, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await claim(database, id, "second");
    await expect(commitTurn(database, first, turn(1), 0, leaseMs)).rejects.toThrow(LeaseLostError);
    await expect(endDialogue(database, first, end)).rejects.toThrow(LeaseLostError);
    await releaseDialogue(database, first);
    expect((await renewLeases(database, [first, second], leaseMs)).size).toBe(1);
    await commitTurn(database, second, turn(1, { role: "assistant" }), 0, leaseMs);
    await endDialogue(database, second, end);
    expect((await findDialogue(database, id, 0))?.turns.map(({ ordinal }) => ordinal)).toEqual([0, 1]);
    expect(await findJob(database, id)).toMatchObject({ turns: 2, completed: 1 });
  });

  it("a renewed lease is not taken over, one put back is, with the drafts after its last kept turn", async () => {
    await insertJob(database, newJob(id, { count: 1 }));
    const first = await claim(database, id, "first", 1);
    await renewLeases(database, [first], leaseMs);
    expect(await claimDialogue(database, { owner: "b", leaseMs, jobs: [id] })).toBeNull();
    await commitTurn(database, first, turn(0), 0, leaseMs);
    await commitTurn(database, first, turn(1, { isKept: false, rejection: "leak" }), 0, leaseMs);
    await releaseDialogue(database, first);
    const second = await claim(database, id);
    await commitTurn(database, second, turn(2), 0, leaseMs);
    const kept = (await findDialogue(database, id, 0))?.turns.map(({ ordinal, isKept }) => [ordinal, isKept]);
    expect(kept).toEqual([
      [0, true],
      [1, false],
      [2, true],
    ]);
  });

  it("events are numbered without gaps by however many writers, and read on from any of them", async () => {
    await insertJob(database, newJob(id, { count: 4 }));
    const leases = [];
    for (let index = 0; index < 4; index += 1) leases.push(await claim(database, id));
    await Promise.all(
      leases.map(async (lease) => {
        for (let ordinal = 0; ordinal < 5; ordinal += 1) await commitTurn(database, lease, turn(ordinal), 0, leaseMs);
        await endDialogue(database, lease, end);
      }),
    );
    const events = await eventsAfter(database, id, 0, 100);
    expect(events.map((event) => event.id)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
    expect((await eventsAfter(database, id, 20, 2)).map((event) => event.id)).toEqual([21, 22]);
    const ends = events.filter(({ type }) => type === "dialogue");
    expect(ends.map(({ data }) => data?.["completed"])).toEqual([1, 2, 3, 4]);
    expect(events.find(({ type }) => type === "turn")?.turn).toMatchObject({ content: "Hello", role: "user" });
  });

  it("a spent budget is told with the turn that spent it", async () => {
    await insertJob(database, newJob(id, { budgetTokens: 18 }));
    const lease = await claim(database, id);
    expect(await commitTurn(database, lease, turn(0), 0, leaseMs)).toMatchObject({ isSpent: false });
    expect(await commitTurn(database, lease, turn(1, { role: "assistant" }), 0, leaseMs)).toMatchObject({
      isSpent: true,
    });
  });

  it("what judges cost counts in sums and budget, with the turn that was picked and alone, and under the lease only", async () => {
    await insertJob(database, newJob(id, { budgetTokens: 40 }));
    const lease = await claim(database, id);
    const usage = { promptTokens: 20, cachedTokens: 8, completionTokens: 2 };
    const judge = { model: "judge", promptHash: "x", reply: "[[1]]", usage };
    const picked = turn(0, {
      role: "assistant",
      origin: { ...turn(0).origin!, choice: { picked: 0, pickedBy: "judge", losers: [], judge } },
    });
    expect(await commitTurn(database, lease, picked, 0.5, leaseMs)).toMatchObject({ isSpent: false });
    expect((await findDialogue(database, id, 0))?.turns).toEqual([picked]);
    expect(await commitVerdict(database, lease, usage, 0.25, leaseMs)).toMatchObject({ isSpent: false });
    expect(await commitVerdict(database, lease, usage, 0.25, leaseMs)).toMatchObject({ isSpent: true });
    await expect(commitVerdict(database, { ...lease, token: 0 }, usage, 9, leaseMs)).rejects.toThrow(LeaseLostError);
    expect(await findJob(database, id)).toMatchObject({
      turns: 1,
      money: 1,
      usage: {
        assistant: { promptTokens: 10, completionTokens: 3 },
        judge: { promptTokens: 60, cachedTokens: 24, prefilledTokens: 36, completionTokens: 6 },
      },
    });
  });

  it("a job of the first release keeps what it has, and nothing is known of its judges", async () => {
    await database.query(
      "DROP TABLE loop_rounds, loop_events, loops, fine_tuning_events, fine_tuning_jobs, files, selfplay_events, selfplay_turns, selfplay_dialogues, selfplay_jobs, realchat_migrations",
    );
    await migrate(database, migrations.slice(0, 1));
    await database.query(
      `INSERT INTO selfplay_jobs (id, status, seed, count, request, plan, user_prompt_tokens)
        VALUES ('old', 'running', 1, 1, '{}', '{}', 5)`,
    );
    await migrate(database);
    expect(await findJob(database, "old")).toMatchObject({
      usage: { user: { promptTokens: 5 }, judge: { promptTokens: 0, prefilledTokens: 0, completionTokens: 0 } },
    });
  });

  it("a cancelled job ends the dialogues that nobody plays, and tells the others by their next turn", async () => {
    await insertJob(database, newJob(id, { count: 3 }));
    const lease = await claim(database, id);
    expect(await moveJob(database, id, ["queued"], "cancelled")).toBe(true);
    expect(await moveJob(database, id, ["queued"], "running")).toBe(false);
    expect(await cancelIdleDialogues(database, id, "cancelled")).toBe(2);
    expect(await commitTurn(database, lease, turn(0), 0, leaseMs)).toMatchObject({ status: "cancelled" });
    await endDialogue(database, lease, { ...end, status: "cancelled", stopReason: "cancelled" });
    expect(await tallyDialogues(database, id)).toEqual({ byStatus: { cancelled: 3 }, byStopReason: { cancelled: 3 } });
  });

  it("lists are paged, and what belongs to a deleted job goes with it", async () => {
    for (const name of ["x", "y", "z"]) await insertJob(database, newJob(`${id}${name}`));
    const [z, y] = await listJobs(database, { limit: 2, after: null });
    expect([z?.id, y?.id]).toEqual([`${id}z`, `${id}y`]);
    expect((await listJobs(database, { limit: 1, after: y!.id }))[0]?.id).toBe(`${id}x`);
    const lease = await claim(database, `${id}x`);
    expect(await deleteJob(database, `${id}x`)).toBe(true);
    expect(await deleteJob(database, `${id}x`)).toBe(false);
    await expect(commitTurn(database, lease, turn(0), 0, leaseMs)).rejects.toThrow(LeaseLostError);
    expect(await findDialogue(database, `${id}x`, 0)).toBeNull();
  });
});

it("a data folder in use and a server that cannot be reached are one sentence each", async () => {
  const folder = mkdtempSync(join(tmpdir(), "realchat-store-"));
  const first = await openPglite(folder);
  await expect(openPglite(folder)).rejects.toThrow(
    `The data folder ${folder} is in use by another process: stop that one, or choose another folder with --data.`,
  );
  await first.close();
  const again = await openPglite(folder);
  await again.close();
  await expect(openPostgres("postgresql://nobody:secret@127.0.0.1:1/x", () => {})).rejects.toThrow(
    /^The PostgreSQL server of DATABASE_URL cannot be used: [^\n]*\.$/,
  );
}, 120_000);
