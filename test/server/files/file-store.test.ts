// What the rows of files promise, on both databases.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FilePurpose } from "../../../server/files/file-records.ts";
import {
  deleteExpired,
  deleteFile,
  findFile,
  insertFile,
  knownFiles,
  listFiles,
} from "../../../server/files/file-store.ts";
import type { Database } from "../../../server/store/database.ts";
import { migrate } from "../../../server/store/migrate.ts";
import { openPglite } from "../../../server/store/pglite-database.ts";
import { openPostgres } from "../../../server/store/postgres-database.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres.ts";

let server: PostgresServer;
let databases: Record<string, Database>;
beforeAll(async () => {
  server = await startPostgres();
  databases = {
    pglite: await openPglite(mkdtempSync(join(tmpdir(), "realchat-files-"))),
    postgresql: await openPostgres(await server.createDatabase("files"), () => {}),
  };
  for (const database of Object.values(databases)) await migrate(database);
}, 180_000);
afterAll(async () => {
  for (const database of Object.values(databases)) await database.close();
  await server.stop();
});

describe.each(["pglite", "postgresql"] as const)("on %s", (kind) => {
  let database: Database;
  beforeEach(async () => {
    database = databases[kind]!;
    await database.query("DELETE FROM files");
  });
  const insert = (id: string, purpose: FilePurpose = "fine-tune", expiresAfterS: number | null = null) =>
    insertFile(database, { id, purpose, filename: `${id}.jsonl`, bytes: 5_000_000_000, expiresAfterS });
  const page = { limit: 10, after: null, purpose: null, order: "desc" } as const;
  const ids = async (over: object = {}) => (await listFiles(database, { ...page, ...over })).map(({ id }) => id);

  it("a file comes back as it was written, however large", async () => {
    const written = await insert("file-a", "fine-tune", 3600);
    expect(written).toMatchObject({
      id: "file-a",
      purpose: "fine-tune",
      filename: "file-a.jsonl",
      bytes: 5_000_000_000,
    });
    expect((written.expiresAtMs ?? 0) - written.createdAtMs).toBeCloseTo(3_600_000, 0);
    expect(await findFile(database, "file-a")).toEqual(written);
    expect(await findFile(database, "file-b")).toBeNull();
  });

  it("pages go on behind a file, newest or oldest first, and hold one purpose where one is asked for", async () => {
    for (const id of ["file-1", "file-2", "file-3"]) await insert(id);
    await insert("file-4", "batch");
    expect(await ids()).toEqual(["file-4", "file-3", "file-2", "file-1"]);
    expect(await ids({ after: "file-3" })).toEqual(["file-2", "file-1"]);
    expect(await ids({ after: "file-2", order: "asc" })).toEqual(["file-3", "file-4"]);
    expect(await ids({ limit: 2, purpose: "fine-tune" })).toEqual(["file-3", "file-2"]);
    expect(await ids({ purpose: "vision" })).toEqual([]);
  });

  it("an expired file is not there any more, and is removed by the next cleaning", async () => {
    await insert("file-old", "batch", 0);
    await insert("file-new");
    expect(await findFile(database, "file-old")).toBeNull();
    expect(await ids()).toEqual(["file-new"]);
    expect([...(await knownFiles(database, ["file-old", "file-new", "file-none"]))].toSorted()).toEqual([
      "file-new",
      "file-old",
    ]);
    expect(await deleteExpired(database)).toEqual(["file-old"]);
    expect([...(await knownFiles(database, ["file-old"]))]).toEqual([]);
  });

  it("a file is deleted, and not while a job needs it, expired or not", async () => {
    await insert("file-a");
    expect(await deleteFile(database, "file-a")).toBeNull();
    expect(await findFile(database, "file-a")).toBeNull();
    await insert("file-b", "fine-tune", 0);
    const [job] = [`ftjob-${kind}`];
    await database.query(
      "INSERT INTO fine_tuning_jobs (id, model, fine_tuned_model, training_file, seed, plan) VALUES ($1, 'm', 'f', 'file-b', 1, '{}')",
      [job],
    );
    expect(await deleteFile(database, "file-b")).toBe(job);
    expect(await deleteExpired(database)).toEqual([]);
    await database.query("UPDATE fine_tuning_jobs SET status = 'cancelled'");
    expect(await deleteExpired(database)).toEqual(["file-b"]);
  });
});
