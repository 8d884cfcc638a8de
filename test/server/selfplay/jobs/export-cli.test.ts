// The program that prints a job's dialogues, as a process: from a gateway that runs, and from the folder that it left.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { testConfig } from "../../../support/app-harness.ts";
import { createJob, jobReaches } from "../../../support/job-client.ts";
import { listen } from "../../../support/listening.ts";
import { scriptedModel } from "../../../support/scripted-model.ts";

const program = new URL("../../../../server/selfplay/jobs/export-cli.ts", import.meta.url).pathname;

async function run(argv: readonly string[], { env = {}, readsChunks = Number.POSITIVE_INFINITY } = {}) {
  const child = spawn(process.execPath, [program, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], ...env },
  });
  let out = "";
  let err = "";
  let chunks = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    chunks += 1;
    if (chunks >= readsChunks) child.stdout.destroy();
  });
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  const lines = () =>
    out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, err, lines };
}

/** A gateway with a finished job whose answers were picked from two, and whose questions are the same in two dialogues. */
async function played(config: ReturnType<typeof testConfig>, count: number) {
  const user = scriptedModel({
    info: { id: "usergpt", role: "user", responseRole: "user" },
    reply: { pieces: ["what", " is", " rust"] },
  });
  const assistant = scriptedModel({
    reply: ({ choiceIndex }) => ({ pieces: [choiceIndex === 0 ? "metal" : "iron", " oxide"] }),
  });
  const judge = scriptedModel({ info: { id: "judge" }, reply: { pieces: ["[[2]]"] } });
  const server = await listen({ models: [user, assistant, judge], config });
  onTestFinished(() => rm(config.dataFolder, { recursive: true, force: true }));
  const body = { count, user: "usergpt", assistant: "realm", max_turns: 1, seed: 1, best_of: { n: 2, judge: "judge" } };
  const { id } = await createJob(server.url, body);
  expect(await jobReaches(server.url, id)).toMatchObject({ status: "completed" });
  return { ...server, id };
}

test("a record is what the dialogue alone is answered with, from a gateway and from the folder that it left", async () => {
  const config = testConfig();
  const { url, id, drain } = await played(config, 2);
  const expected: unknown[] = [];
  for (const index of [0, 1]) {
    expected.push(await (await fetch(`${url}/v1/selfplay/jobs/${id}/dialogues/${index}`)).json());
  }
  expect(expected[0]).toMatchObject({
    models: { assistant: { model_hash: expect.any(String) } },
    trace: [{ role: "user" }, { choice: { rejected: [{ content: "metal oxide" }] }, token_ids: expect.any(Array) }],
  });

  const parquet = await fetch(`${url}/v1/selfplay/jobs/${id}/dialogues?as=parquet&format=record`);
  expect([parquet.status, await parquet.json()]).toMatchObject([400, { error: { param: "format" } }]);

  const remote = await run(["--job", id, "--url", url]);
  expect([remote.code, remote.err, remote.lines()]).toEqual([0, "", expected]);
  const refused = await run(["--job", "nobody", "--url", url]);
  expect([refused.code, refused.err, refused.lines()]).toEqual([1, "No such job: 'nobody'.\n", []]);
  const locked = await run(["--job", id, "--data", config.dataFolder]);
  expect([locked.code, locked.lines()]).toEqual([1, []]);
  expect(locked.err).toMatch(/^The data folder \S+ is in use by another process: .* read with --url\.\n$/);

  await drain();
  const stored = await run(["--job", id], { env: { REALCHAT_DATA: config.dataFolder } });
  expect([stored.code, stored.err, stored.lines()]).toEqual([0, "", expected]);
  const unique = await run(["--job", id, "--data", config.dataFolder, "--unique", "--format", "sharegpt"]);
  expect(unique.lines()).toEqual([{ id: expect.stringMatching(/_0$/), conversations: expect.any(Array) }]);
  const unknown = await run(["--job", "nobody", "--data", config.dataFolder]);
  expect([unknown.code, unknown.err]).toEqual([
    1,
    `There is no job 'nobody' in the data folder ${config.dataFolder}.\n`,
  ]);
});

test("a reader that leaves ends the program without a word", async () => {
  const config = testConfig();
  const { url, id, drain } = await played(config, 110);
  const left = await run(["--job", id, "--url", url], { readsChunks: 1 });
  expect([left.code, left.err]).toEqual([141, ""]);
  await drain();
  const again = await run(["--job", id, "--data", config.dataFolder], { readsChunks: 1 });
  expect([again.code, again.err]).toEqual([141, ""]);
});

test.each([
  [[], 2, "--job must name a job; --help lists every option.\n"],
  [["--job", "a", "--format", "csv"], 2, '--format must be one of openai, sharegpt, platolm, record, not "csv".\n'],
  [["--job", "a", "--nope"], 2, "Unknown option '--nope'. --help lists every option.\n"],
  [["--job", "a", "--data", "/nowhere/at/all"], 1, "There is no job 'a' in the data folder /nowhere/at/all.\n"],
  [
    ["--job", "a", "--url", "http://127.0.0.1:9"],
    1,
    expect.stringMatching(/^http:\/\/127.0.0.1:9 cannot be reached: .*\.\n$/),
  ],
])("%o ends with code %i and one sentence", async (argv, code, sentence) => {
  const ended = await run(argv);
  expect([ended.code, ended.err]).toEqual([code, sentence]);
});
