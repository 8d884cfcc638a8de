// Jobs over HTTP on the real process with the embedded models and database.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readServerSentData } from "../../server/selfplay/remote-dialogue.ts";
import { actOnJob, createJob, dataSet, type JobAnswer, jobReaches, retrieveJob } from "../support/job-client.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const env = { REALCHAT_DATA: mkdtempSync(join(tmpdir(), "realchat-jobs-")) };
const small = { count: 6, seed: 21, max_turns: 3 };
let server: ServerProcess;
let done: JobAnswer;
beforeAll(async () => {
  server = await startServerProcess([], env);
  const { id } = await createJob(server.url, small);
  done = await jobReaches(server.url, id);
}, 120_000);
afterAll(async () => {
  const errors = server.logged().filter(({ level }) => level === "error");
  expect(await server.stop()).toBe(0);
  expect(errors).toEqual([]);
});

const at = (path: string) => `${server.url}/v1/selfplay/jobs${path}`;
const get = (path: string, headers: Record<string, string> = {}) => fetch(at(path), { headers });

async function events(path: string, headers: Record<string, string> = {}): Promise<Record<string, unknown>[]> {
  const response = await get(path, headers);
  const read = await Array.fromAsync(readServerSentData(response.body ?? new ReadableStream()));
  expect(read.pop()).toBe("[DONE]");
  return read.map((data) => JSON.parse(data) as Record<string, unknown>);
}

const key = ({ role, turn }: Record<string, unknown>) => `${String(role)} ${String(turn)}`;

async function refusal(method: string, path: string, body?: object) {
  const sent =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(at(path), { method, ...sent });
  const { error } = (await response.json()) as { error: { param: string; code: string } };
  return [response.status, error.param, error.code];
}

describe("a job", () => {
  it("is counted by outcome, stop reason and role, each token prefilled once", async () => {
    expect(done).toMatchObject({
      object: "selfplay.job",
      status: "completed",
      dialogue_counts: { total: 6, completed: 6, queued: 0, running: 0, failed: 0, cancelled: 0 },
    });
    for (const role of ["user", "assistant"] as const) {
      const { prompt_tokens: prompt, prefilled_tokens: prefilled } = done.usage[role];
      expect(prefilled).toBeLessThan(prompt! / 2);
    }
  });

  it("gives the same dialogues whatever the concurrency, and however often it is paused", async () => {
    const expected = await dataSet(server.url, done.id);
    expect(expected).toHaveLength(6);
    const alone = await createJob(server.url, { ...small, concurrency: 1 });
    await jobReaches(server.url, alone.id, ({ dialogue_counts: counts }) => (counts["completed"] ?? 0) > 0);
    expect(await actOnJob(server.url, alone.id, "pause")).toMatchObject({ status: "paused" });
    const still = await jobReaches(server.url, alone.id, ({ dialogue_counts: counts }) => counts["running"] === 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await retrieveJob(server.url, alone.id)).toEqual(still);
    await actOnJob(server.url, alone.id, "resume");
    expect(await jobReaches(server.url, alone.id)).toMatchObject({ status: "completed" });
    expect(await dataSet(server.url, alone.id)).toEqual(expected);
  });

  it("is cancelled, refuses what makes no sense then, and can be deleted", async () => {
    const { id } = await createJob(server.url, { count: 500, seed: 1 });
    await jobReaches(server.url, id, ({ dialogue_counts: counts }) => (counts["running"] ?? 0) > 0);
    expect(await refusal("DELETE", `/${id}`)).toEqual([409, "id", "job_not_ended"]);
    expect(await actOnJob(server.url, id, "cancel")).toMatchObject({ status: "cancelled" });
    const { dialogue_counts: counts } = await jobReaches(server.url, id, (job) => job.dialogue_counts["running"] === 0);
    expect((counts["completed"] ?? 0) + (counts["cancelled"] ?? 0)).toBe(500);
    expect(await refusal("POST", `/${id}/resume`)).toEqual([409, "id", "job_status"]);
    expect((await fetch(at(`/${id}`), { method: "DELETE" })).status).toBe(200);
    expect(await refusal("GET", `/${id}`)).toEqual([404, "id", "job_not_found"]);
  });

  it("ends when its budget is spent, on an assistant's turn", async () => {
    const { id } = await createJob(server.url, { count: 50, seed: 1, budget: { tokens: 500 }, concurrency: 2 });
    const { dialogue_counts: counts } = await jobReaches(
      server.url,
      id,
      (job) => job.status === "completed" && job.dialogue_counts["running"] === 0,
    );
    expect(counts).toMatchObject({ by_stop_reason: { budget: expect.any(Number) }, queued: 0 });
    for (const row of await dataSet(server.url, id)) {
      expect(["assistant", undefined]).toContain(row.messages.at(-1)?.role);
    }
  });

  it.each<[string, object, string]>([
    ["an unknown simulator", { count: 1, simulator: "robot" }, "simulator"],
    ["no count", {}, "count"],
    ["an unknown field", { count: 1, maxturns: 3 }, "maxturns"],
    ["an impossible stop rule", { count: 1, max_turns: 2, stop: { turns: { min: 4, max: 5 } } }, "stop.turns.min"],
    [
      "a broken row of a seed set",
      { mode: "seeded", seeds: { format: "dolly", text: '{"instruction":"a"}\n{' } },
      "seeds.text",
    ],
    ["money without prices", { count: 1, budget: { money: 1 } }, "budget.money"],
    ["metadata that is no text", { count: 1, metadata: { a: 1 } }, "metadata.a"],
  ])("is refused for %s, with the field named", async (_, body, param) => {
    expect((await refusal("POST", "", body)).slice(0, 2)).toEqual([400, param]);
  });
});

describe("the events of a job", () => {
  it("are told from the first or after any one, without gaps, until the end", async () => {
    const all = await events(`/${done.id}/events`);
    expect(all.map(({ id }) => id)).toEqual(Array.from(all, (_, index) => index + 1));
    expect(all.at(-1)).toMatchObject({ type: "status", status: "completed" });
    expect(all.at(-2)).toMatchObject({ type: "metrics", metrics: { object: "selfplay.quality" } });
    expect(all.filter(({ type }) => type === "dialogue")).toHaveLength(6);
    expect(await events(`/${done.id}/events`, { "last-event-id": "20" })).toEqual(all.slice(20));
    expect(await events(`/${done.id}/events?after=30`)).toEqual(all.slice(30));
  });

  it("hold the tokens of dialogues in play, which add up to their turns", async () => {
    const { id } = await createJob(server.url, { count: 1, seed: 3, max_turns: 2 });
    const told = await events(`/${id}/events`);
    const texts = new Map<string, string>();
    for (const event of told)
      if (event["type"] === "token") texts.set(key(event), (texts.get(key(event)) ?? "") + String(event["text"]));
    const turns = told.filter(({ type }) => type === "turn");
    expect(turns).toHaveLength(4);
    // The first may have been said before anyone listened.
    for (const turn of turns.slice(2)) expect(texts.get(key(turn))?.trim()).toBe(String(turn["content"]).trim());
  });
});

describe("the dialogues of a job", () => {
  it("come in pages, and alone with full provenance", async () => {
    const first = (await (await get(`/${done.id}/dialogues?limit=4`)).json()) as {
      last_id: string;
      has_more: boolean;
      data: unknown[];
    };
    expect([first.data.length, first.has_more]).toEqual([4, true]);
    const rest = (await (await get(`/${done.id}/dialogues?after=${first.last_id}`)).json()) as {
      data: { index: number }[];
      has_more: boolean;
    };
    expect([rest.data.map(({ index }) => index), rest.has_more]).toEqual([[4, 5], false]);
    const one = await (await get(`/${done.id}/dialogues/2`)).json();
    expect(one).toMatchObject({
      index: 2,
      status: "completed",
      simulator: "learned",
      mode: "free",
      stop_reason: "max_turns",
      seed: 21,
      models: {
        user: { id: "usergpt", model_hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
        assistant: { id: "realm" },
      },
      versions: { gateway: expect.any(String), onnxruntime: expect.any(String), node: process.versions.node },
      trace: expect.arrayContaining([
        expect.objectContaining({ token_ids: expect.arrayContaining([expect.any(Number)]) }),
      ]),
    });
    expect(await refusal("GET", `/${done.id}/dialogues/6`)).toEqual([404, "index", "dialogue_not_found"]);
    expect(await refusal("GET", `/${done.id}/dialogues?stop_reason=boredom`)).toEqual([
      400,
      "stop_reason[0]",
      "invalid_value",
    ]);
  });

  it("come as lines and as Parquet in every format, with the same words", async () => {
    const lines = async (query: string) => {
      const response = await get(`/${done.id}/dialogues?as=jsonl&${query}`, { "accept-encoding": "gzip" });
      expect(response.headers.get("content-type")).toBe("application/jsonl");
      expect(response.headers.get("content-encoding")).toBe("gzip");
      return (await response.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const openai = await lines("format=openai");
    expect(openai).toHaveLength(6);
    const expected = await dataSet(server.url, done.id);
    expect(openai.map(({ messages }) => messages)).toEqual(expected.map(({ messages }) => messages));
    const platolm = await lines("format=platolm");
    expect(platolm[0]).toMatchObject({
      num_of_rounds: 3,
      session_id: expect.any(String),
      conversations: expect.any(Array),
    });
    expect((await lines("format=sharegpt")).map(({ conversations }) => conversations)).toEqual(
      platolm.map(({ conversations }) => conversations),
    );
    const file = await (await get(`/${done.id}/dialogues?as=parquet`)).arrayBuffer();
    const rows = await parquetReadObjects({ file });
    expect(rows.map(({ id, messages }) => ({ id, messages }))).toEqual(openai);
    expect(rows[0]).toMatchObject({ num_of_rounds: 3, stop_reason: "max_turns", seed: 21n });
    expect(await (await get(`/${done.id}/dialogues?as=jsonl&stop_reason=window`)).text()).toBe("");
  });

  it("are played again token for token", async () => {
    const response = await fetch(at(`/${done.id}/dialogues/3/replay`), { method: "POST" });
    expect(await response.json()).toMatchObject({ object: "selfplay.replay", identical: true, difference: null });
  });
});

it("a job is run from the terminal on a running gateway, and saved as one line per dialogue", async () => {
  const out = join(mkdtempSync(join(tmpdir(), "realchat-cli-")), "realchat.jsonl");
  const flags = [
    "--url",
    server.url,
    "--count",
    "3",
    "--max-turns",
    "2",
    "--seed",
    "4",
    "--format",
    "sharegpt",
    "--out",
    out,
  ];
  const child = spawn(process.execPath, ["server/selfplay/cli.ts", ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  const [shown, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  expect(code).toBe(0);
  expect(shown).toMatch(/completed · █+ 3\/3 dialogues · 12 turns · .* · max_turns 3\nsaved /);
  const rows = readFileSync(out, "utf8").trim().split("\n");
  expect(rows.map((row) => (JSON.parse(row) as { conversations: unknown[] }).conversations.length)).toEqual([4, 4, 4]);
});

it("a server that is told to stop leaves its dialogues for the next one, and the data is that of an undisturbed run", async () => {
  const body = { count: 16, seed: 5, max_turns: 4 };
  const whole = await createJob(server.url, body);
  await jobReaches(server.url, whole.id);
  const expected = await dataSet(server.url, whole.id);
  const { id } = await createJob(server.url, body);
  await jobReaches(server.url, id, ({ dialogue_counts: counts }) => (counts["completed"] ?? 0) > 0);
  expect(await server.stop()).toBe(0);
  server = await startServerProcess([], env);
  expect(await jobReaches(server.url, id)).toMatchObject({ status: "completed" });
  expect(await dataSet(server.url, id)).toEqual(expected);
});
