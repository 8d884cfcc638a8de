// A job outlives the gateway that works at it, and several gateways on one PostgreSQL server do not work at it twice.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { testConfig } from "../../support/app-harness.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { eventsOf, jobEnds, stepIsTold, uploadChats } from "../../support/tuning-client.ts";
import { startedTrainings, tuningGateway } from "../../support/tuning-gateway.ts";

const pace = { steps: 20, stepMs: 30, checkpointEvery: 3 };
const round = (value: number) => Math.round(value * 1e6) / 1e6;
const csv = (steps: number) => {
  const lines = Array.from({ length: steps }, (_, index) => {
    const loss = round(1 / (index + 2));
    return `${index + 1},${loss},,${index % 2 === 1 ? loss + 1 : ""},\n`;
  });
  return `step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n${lines.join("")}`;
};

async function open(over: Parameters<typeof tuningGateway>[1], at: Partial<typeof pace> = {}) {
  const gateway = await tuningGateway({ ...pace, ...at }, over);
  onTestFinished(async () => {
    await gateway.stop();
    await rm(gateway.config.dataFolder, { recursive: true, force: true });
  });
  return gateway;
}

/** A gateway in a process of its own, its job, and how to kill it as no signal handler sees. */
async function gatewayProcess(config: object) {
  const program = join(import.meta.dirname, "..", "..", "support", "tuning-gateway-cli.ts");
  const child = spawn(process.execPath, [program, JSON.stringify(config), JSON.stringify(pace)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [job] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { job, kill };
}

async function logHas(folder: string, job: string, step: number): Promise<void> {
  const log = join(folder, "tuning", job, "log.jsonl");
  while (!existsSync(log) || !readFileSync(log, "utf8").includes(`"step":${step},`)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("on one PostgreSQL server", () => {
  let server: PostgresServer;
  let databaseUrl: string;
  beforeAll(async () => {
    server = await startPostgres();
    databaseUrl = await server.createDatabase("tuning");
  }, 180_000);
  afterAll(() => server.stop());

  it("one that drains lets the training write a checkpoint, and the next goes on from there", async () => {
    const first = await open({ databaseUrl }, { stepMs: 200 });
    const { dataFolder } = first.config;
    const file = await uploadChats(first.client);
    const { id } = await first.client.fineTuning.jobs.create({ model: "usergpt", training_file: file });
    await stepIsTold(first.client, id, 4);
    await first.drain();
    expect(Number(readFileSync(join(dataFolder, "tuning", id, "checkpoint"), "utf8"))).toBeGreaterThanOrEqual(4);
    await first.stop();
    const { client } = await open({ databaseUrl, dataFolder });
    expect(["queued", "running", "succeeded"]).toContain((await client.fineTuning.jobs.retrieve(id)).status);
    const done = await jobEnds(client, id);
    expect(await (await client.files.content(done.result_files[0] ?? "")).text()).toBe(csv(pace.steps));
  });

  it("two gateways share jobs, and each is trained once", async () => {
    const own = { databaseUrl: await server.createDatabase("shared") };
    const first = await open(own);
    const { dataFolder } = first.config;
    const second = await open({ ...own, dataFolder });
    const file = await uploadChats(first.client);
    const ids: string[] = [];
    for (const { client } of [first, second, first, second]) {
      ids.push((await client.fineTuning.jobs.create({ model: "usergpt", training_file: file })).id);
    }
    const models = await Promise.all(ids.map(async (id) => (await jobEnds(second.client, id)).fine_tuned_model));
    expect(new Set(startedTrainings(first.config))).toEqual(new Set(models));
    expect(startedTrainings(first.config)).toHaveLength(models.length);
    // Both had something to do.
    expect(new Set([...first.loaded, ...second.loaded])).toEqual(new Set(models));
    expect(Math.min(first.loaded.length, second.loaded.length)).toBeGreaterThan(0);
    // What one knows, the other does.
    expect(await first.metrics()).toContain('realchat_fine_tuning_jobs{status="succeeded"} 4');
  });

  it("a gateway that falls silent loses its job to another, which goes on from the checkpoint", async () => {
    const { dataFolder } = testConfig();
    const own = { dataFolder, databaseUrl: await server.createDatabase("silent"), leaseS: 1 };
    const { job, kill } = await gatewayProcess(own);
    await logHas(dataFolder, job, 4);
    const { client, config } = await open(own);
    await kill();
    const done = await jobEnds(client, job);
    expect(done.status).toBe("succeeded");
    expect(startedTrainings(config).filter((id) => id === done.fine_tuned_model)).toHaveLength(2);
    expect(await (await client.files.content(done.result_files[0] ?? "")).text()).toBe(csv(pace.steps));
  });

  it("a gateway without the file or the model leaves a job to others, and says so", async () => {
    const first = await open({ databaseUrl });
    const { id } = await first.client.fineTuning.jobs.create({
      model: "usergpt",
      training_file: await uploadChats(first.client),
    });
    // Its data folder is its own.
    const other = await open({ databaseUrl });
    const done = await jobEnds(other.client, id);
    expect(done.status).toBe("succeeded");
    expect(other.loaded).toEqual([]);
    await first.stop();
    const left = await other.client.fineTuning.jobs.create({ model: "usergpt", training_file: done.training_file });
    await expect
      .poll(async () => (await eventsOf(other.client, left.id)).at(-1)?.message, { timeout: 10_000 })
      .toBe(`The job waits for another gateway: the content of '${done.training_file}' is not in this data folder.`);
    await other.client.fineTuning.jobs.cancel(left.id);
  });
});
