// Both recipes through the command: they learn, they go on as if never stopped, and what they made is served.
// REALCHAT_PYTHON names the Python of the one in PyTorch; without one that can train its tests are left out and say so.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readManifest } from "../../runtime/manifest.ts";
import { checkPython } from "../../training/train/python.ts";
import { type RecipeName, RECIPES } from "../../training/train/recipe-flags.ts";
import { startServerProcess } from "../support/server-process.ts";

const root = join(import.meta.dirname, "..", "..");
const python = process.env["REALCHAT_PYTHON"] ?? "python3";

async function canTrain(): Promise<boolean> {
  try {
    await checkPython(python, ["torch", "transformers", "peft"], new AbortController().signal);
    return true;
  } catch (error) {
    console.log(`left out: ${(error as Error).message}`);
    return false;
  }
}

const isRunning: Readonly<Record<RecipeName, boolean>> = { onnx: true, pytorch: await canTrain() };

const things = ["a table", "two tickets", "a bus", "a doctor", "a song", "a house"];
const conversations = things.map((thing, index) => ({
  id: `made-${index}`,
  is_complete: true,
  conversations: [
    { from: "human", value: `I need ${thing}.` },
    { from: "gpt", value: `Where do you want ${thing}?` },
    { from: "human", value: `In city number ${index}, please.` },
    { from: "gpt", value: `I found ${thing} in city number ${index}.` },
  ],
}));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recipe-"));
  await writeFile(join(folder, "made.jsonl"), conversations.map((row) => `${JSON.stringify(row)}\n`).join(""));
});
afterAll(() => rm(folder, { recursive: true }));

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line of ours; interrupts it once when its run has come to `stopAt` steps. */
async function command(cli: string, args: readonly string[], stopAt: { log: string; step: number } | null = null) {
  const child = spawn(process.execPath, [join(root, cli), ...args], { cwd: root });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  const closed = once(child, "close") as Promise<[number | null]>;
  if (stopAt !== null) {
    while (child.exitCode === null && (await steps(stopAt.log)).length < stopAt.step) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill("SIGINT");
  }
  const [code] = await closed;
  return { code, ...said } satisfies Ran;
}

interface Step {
  readonly step: number;
  readonly loss: number;
}

/** The steps in a run's log, in its order. */
async function steps(log: string): Promise<Step[]> {
  const lines = (await readFile(log, "utf8").catch(() => "")).split("\n").slice(0, -1);
  const events = lines.map((line) => JSON.parse(line) as Step & { readonly event: string });
  return events.filter(({ event }) => event === "step").map(({ step, loss }) => ({ step, loss }));
}

const shape = ["--layers=2", "--hidden=64", "--heads=4", "--kv-heads=2", "--vocab=4096", "--tied=yes"];

/** Runs are named within their recipe. */
const runName = (recipe: RecipeName, run: string) => `${recipe}-${run}`;

function trainFlags(recipe: RecipeName, run: string, ...more: readonly string[]): string[] {
  const name = runName(recipe, run);
  return [
    `--recipe=${recipe}`,
    ...(recipe === "pytorch" ? [`--python=${python}`] : []),
    `--data=${join(folder, "data")}`,
    "--tokenizer=test/fixtures/seed-pair/usergpt",
    `--run-folder=${join(folder, name)}`,
    `--out=${join(folder, `models-${name}`)}`,
    "--id=learned",
    "--role=user",
    "--precision=float32",
    "--context=256",
    "--device=cpu",
    "--threads=1",
    ...shape,
    ...more,
  ];
}

beforeAll(async () => {
  const args = [
    "--to=tokenized",
    "--role=user",
    "--learn-end",
    "--model=test/fixtures/seed-pair/usergpt",
    "--clean=none",
  ];
  const { code, stderr } = await command("training/exports/cli.ts", [
    join(folder, "made.jsonl"),
    ...args,
    `--out=${join(folder, "data")}`,
  ]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

describe.each(RECIPES.filter((name) => isRunning[name]))("the recipe %s", (recipe) => {
  const flagsOf = (run: string, ...more: readonly string[]) => trainFlags(recipe, run, ...more);
  const inRun = (run: string, ...path: readonly string[]) => join(folder, runName(recipe, run), ...path);
  const modelOf = (run: string) => join(folder, `models-${runName(recipe, run)}`, "learned");

  it("learns a batch by heart, and the gateway says it by heart", { timeout: 300_000 }, async () => {
    const flags = flagsOf("overfit", "--epochs=150", "--lr=0.003", "--checkpoint-every=1000");
    const ran = await command("training/train/cli.ts", flags);
    expect(ran).toMatchObject({ code: 0 });
    const log = await steps(inRun("overfit", "log.jsonl"));
    // Six conversations are one batch: a step is an epoch. By chance a token of 4,096 costs ln 4096 = 8.3 nats.
    expect(log).toHaveLength(150);
    expect(log[0]?.loss).toBeGreaterThan(8);
    expect(log.at(-1)?.loss).toBeLessThan(0.35);
    const { provenance, contextWindow } = await readManifest(modelOf("overfit"));
    expect(contextWindow).toBe(256);
    expect(provenance).toMatchObject({ training: { importCheck: { precision: "float32", topAgreement: 1 } } });

    const server = await startServerProcess(["--model", modelOf("overfit")]);
    try {
      for (const { conversations: turns } of conversations) {
        const messages = turns.slice(0, 2).map(({ from, value }) => ({
          role: from === "human" ? "user" : "assistant",
          content: value,
        }));
        const response = await fetch(`${server.url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: "learned", messages, temperature: 0, max_tokens: 40 }),
        });
        expect(await response.json()).toMatchObject({ choices: [{ message: { content: turns[2]?.value } }] });
      }
    } finally {
      await server.stop();
    }
  });

  it("goes on from an interruption to the same weights, bit by bit", { timeout: 300_000 }, async () => {
    const flags = ["--epochs=40", "--lr=0.003", "--batch-tokens=64", "--checkpoint-every=7"];
    const whole = await command("training/train/cli.ts", flagsOf("whole", ...flags));
    expect(whole).toMatchObject({ code: 0 });
    const log = inRun("parts", "log.jsonl");
    const stopped = await command("training/train/cli.ts", flagsOf("parts", ...flags), { log, step: 9 });
    expect(stopped).toMatchObject({ code: 130 });
    expect(stopped.stderr).toContain("the same command with --resume goes on");
    const before = await steps(log);
    const all = await steps(inRun("whole", "log.jsonl"));
    expect(before.length).toBeLessThan(all.length);

    const other = await command("training/train/cli.ts", flagsOf("parts", ...flags, "--resume", "--seed=2"));
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toContain("the run was begun with --seed 1, and cannot go on with 2");

    const resumed = await command("training/train/cli.ts", flagsOf("parts", ...flags, "--resume"));
    expect(resumed).toMatchObject({ code: 0 });
    expect(await steps(log)).toEqual(all);
    const weights = (run: string) => readFile(inRun(run, "result/model.safetensors"));
    expect((await weights("parts")).equals(await weights("whole"))).toBe(true);
  });

  it("adapters are merged into a model that is served like any other", { timeout: 300_000 }, async () => {
    expect(await command("training/train/cli.ts", flagsOf("base", "--max-steps=2"))).toMatchObject({ code: 0 });
    const base = `--base=${inRun("base", "result")}`;
    const flags = flagsOf("lora").filter((flag) => !shape.includes(flag));
    const tuned = [base, "--method=lora", "--lora-rank=4", "--max-steps=8", "--lr=0.01"];
    expect(await command("training/train/cli.ts", [...flags, ...tuned])).toMatchObject({ code: 0 });
    const log = await readFile(inRun("lora", "log.jsonl"), "utf8");
    // Seven matrices in each of two layers, rank 4: 4 * (64 + 64), and so on.
    expect(JSON.parse(log.split("\n")[0] ?? "")).toMatchObject({ trained_parameters: 9728 });
    const all = await steps(inRun("lora", "log.jsonl"));
    expect(all.at(-1)?.loss).toBeLessThan((all[0]?.loss ?? 0) - 0.3);
    const { provenance } = await readManifest(modelOf("lora"));
    expect(provenance).toMatchObject({ baseModel: "result", training: { settings: { method: "lora" } } });
  });
});

describe.runIf(isRunning.pytorch)("the recipe pytorch", () => {
  it("two processes with shared-out weights take the steps of one", { timeout: 300_000 }, async () => {
    const flags = ["--epochs=4", "--lr=0.003", "--batch-tokens=64"];
    const one = await command("training/train/cli.ts", trainFlags("pytorch", "one", ...flags, "--accumulate=2"));
    const two = await command("training/train/cli.ts", trainFlags("pytorch", "two", ...flags, "--processes=2"));
    expect([one.code, two.code]).toEqual([0, 0]);
    const expected = await steps(join(folder, runName("pytorch", "one"), "log.jsonl"));
    const found = await steps(join(folder, runName("pytorch", "two"), "log.jsonl"));
    expect(found).toHaveLength(12);
    for (const [index, { loss }] of found.entries()) expect(loss).toBeCloseTo(expected[index]?.loss ?? Number.NaN, 3);
  });
});
