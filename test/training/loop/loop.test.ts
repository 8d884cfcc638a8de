// A round with the real models from its first step to its last, broken off between steps: it goes on, does nothing twice, and its
// records lead from the dialogues to the weights. What is not as it was when the run began is refused by its name.
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lockFolder } from "../../../runtime/folder-lock.ts";
import { readManifest } from "../../../runtime/manifest.ts";
import { runLoop } from "../../../training/loop/loop.ts";
import { parseLoopArguments } from "../../../training/loop/options.ts";
import type { RoundRecordJson } from "../../../training/loop/record.ts";
import type { RoundReport } from "../../../training/loop/report.ts";
import { verifyRun } from "../../../training/loop/verify.ts";
import { MODELS_FOLDER } from "../../support/engine.ts";
import { tinyLoop } from "../../support/loop-run.ts";

const never = new AbortController().signal;

let folder: string;
let args: string[];
const inRun = (...names: readonly string[]) => join(folder, "run", ...names);
const round = (...names: readonly string[]) => inRun("rounds", "1", ...names);

/** Throws once a step has come to the moment, as if the process had ended there. */
async function loop(more: readonly string[], breakAt: string | null = null) {
  const command = parseLoopArguments([...args, ...more]);
  if (command.kind !== "loop") throw new Error(command.kind);
  const begun: string[] = [];
  const hooks = {
    environment: { PATH: process.env["PATH"] },
    onNote: (sentence: string) => begun.push(sentence.replace(/^round 1: /, "")),
    onProgress: () => {},
    onStep: (name: string, moment: string) => {
      if (`${name} ${moment}` === breakAt) throw new Error(`broken off at ${breakAt}`);
    },
  };
  try {
    return { begun, records: await runLoop(command.options, hooks, never), refusal: null };
  } catch (error) {
    return { begun, records: [], refusal: error instanceof Error ? error.message : String(error) };
  }
}

let record: RoundRecordJson;
const runs: Awaited<ReturnType<typeof loop>>[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "loop-"));
  args = await tinyLoop(folder, "--role=user", "--gate=any");
  runs.push(await loop([], "filter recorded"));
  for (const moment of ["train-user made", "accept-user made", "report recorded"])
    runs.push(await loop(["--resume"], moment));
  runs.push(await loop(["--resume"]));
  record = runs.at(-1)?.records[0] ?? expect.unreachable("the round did not end");
});
afterAll(() => rm(folder, { recursive: true }));

describe("a round that was broken off four times", () => {
  test("began every step where the one before had left it, and none that was recorded again", () => {
    const train = /^wrote .* as the checkpoint/;
    expect(runs.map(({ begun }) => begun.filter((sentence) => !train.test(sentence)))).toEqual([
      ["play", "filter"],
      ["measure", "export-user", "train-user"],
      ["train-user", "score-user", "gate-user", "accept-user"],
      ["accept-user", "report"],
      [],
    ]);
  });

  test("trained once, though it ended before it could say so", async () => {
    const log = await readFile(round("train-user", "log.jsonl"), "utf8");
    expect(log.match(/"event":"start"/g)).toHaveLength(1);
    expect(log.match(/"event":"step"/g)).toHaveLength(2);
  });

  test("ends with the accepted model in the models folder, whole, and with nothing else there", async () => {
    expect(await readdir(inRun("models"))).toEqual(["ft%3Ausergpt%3Aloop-1"]);
    const manifest = await readManifest(inRun("models", "ft%3Ausergpt%3Aloop-1"));
    expect(manifest).toMatchObject({ id: "ft:usergpt:loop-1", role: "user", precision: "int8" });
    expect(record.ends).toEqual({ user: { id: manifest.id, hash: manifest.hash }, assistant: record.begins.assistant });
    expect(await readdir(round("candidates"))).toEqual([]);
  });

  test("leads from the dialogues to the weights without a gap, and every file is what the record names", async () => {
    expect(await verifyRun(inRun(), inRun("models"), never)).toMatchObject({ rounds: 1, problems: [] });
    const { steps } = record;
    const trained = steps["train-user"]?.facts as { dataSha256: Record<string, string> };
    expect(trained.dataSha256["train.jsonl"]).toBe(steps["export-user"]?.outputs["rounds/1/data-user/train.jsonl"]);
    expect(steps["export-user"]?.inputs["rounds/1/kept.jsonl"]).toBe(steps["filter"]?.outputs["rounds/1/kept.jsonl"]);
    expect(steps["filter"]?.inputs["rounds/1/dialogues.jsonl"]).toBe(
      steps["play"]?.outputs["rounds/1/dialogues.jsonl"],
    );
  });

  test("trained on the ids that were sampled, without one turn tokenized anew", async () => {
    expect(record.steps["export-user"]?.facts["counts"]).toMatchObject({ train: 2, retokenizedTurns: 0 });
    const [first = ""] = (await readFile(round("dialogues.jsonl"), "utf8")).split("\n");
    const dialogue = JSON.parse(first) as { id: string; trace: { role: string; token_ids: number[] }[] };
    const rows = (await readFile(round("data-user", "train.jsonl"), "utf8")).trim().split("\n");
    const row = rows
      .map((line) => JSON.parse(line) as { id: string; labels: number[] })
      .find(({ id }) => id.startsWith(dialogue.id));
    const sampled = dialogue.trace.filter(({ role }) => role === "user").flatMap(({ token_ids: ids }) => ids);
    expect(row?.labels.filter((label) => label >= 0)).toEqual(expect.arrayContaining(sampled));
  });

  test("is told as JSON, Markdown and a page that say the same", async () => {
    const report = JSON.parse(await readFile(round("report.json"), "utf8")) as RoundReport;
    expect(report).toMatchObject({ round: 1, played: { asked: 2, failed: 0, dialogues: 2, kept: 2 } });
    expect(report.roles.map(({ role, losses, heldout }) => [role, losses.length, heldout.length])).toEqual([
      ["user", 2, 2],
    ]);
    expect(report.roles[0]?.heldout.at(-1)?.comparison).toMatchObject({ dialogues: 4, unpaired: 0 });
    expect(report.measures.played.table5.turns).toBe(2);
    for (const name of ["report.md", "report.html"]) {
      const text = await readFile(round(name), "utf8");
      expect(text).toContain("ft:usergpt:loop-1, trained from usergpt: accepted.");
      expect(text).toContain("near-duplicate");
    }
  });

  test("is done: the same command once more begins nothing", async () => {
    const again = await loop(["--resume"]);
    expect(again).toEqual({ begun: [], records: [record], refusal: null });
  });
});

describe("what cannot go on is refused by its name:", () => {
  test("a run that is there, without --resume", async () => {
    expect((await loop([])).refusal).toBe(
      `${inRun()} holds an earlier run: --resume goes on with it, another --run-folder begins anew`,
    );
  });

  test("a changed setting", async () => {
    expect((await loop(["--resume", "--lr=1e-3"])).refusal).toBe(
      `the run in ${inRun()} began with --lr 1e-4, and cannot go on with 1e-3`,
    );
    expect((await loop(["--resume", "--least-rounds=1"])).refusal).toBe(
      `the run in ${inRun()} began with --least-rounds 2, and cannot go on with 1`,
    );
  });

  test("a changed file of held-out dialogues", async () => {
    const human = join(folder, "human.jsonl");
    const before = await readFile(human);
    await writeFile(human, `${before.toString()}\n`);
    expect((await loop(["--resume"])).refusal).toBe(
      `the run in ${inRun()} began with another content of --heldout ${human} than there is now`,
    );
    await writeFile(human, before);
  });

  test("a second loop in the same folder, while the first is at work", async () => {
    const unlock = lockFolder(inRun());
    expect((await loop(["--resume"])).refusal).toBe(`another loop is at work in ${inRun()}`);
    unlock?.();
    expect((await loop(["--resume"])).refusal).toBeNull();
  });

  test("models of the wrong role, files that are none, and names that are taken, before anything is begun", async () => {
    const other = join(folder, "other");
    const realm = join(MODELS_FOLDER, "realm");
    const fresh = [`--run-folder=${other}`];
    expect((await loop([...fresh, `--user=${realm}`])).refusal).toBe(
      `--user ${realm} is a model that writes the assistant's turns`,
    );
    expect((await loop([...fresh, "--assistant=nobody"])).refusal).toBe("--assistant names no model folder: nobody");
    expect((await loop([...fresh, "--heldout=nowhere.jsonl"])).refusal).toBe("--heldout nowhere.jsonl is no file");
    const body = join(folder, "body.json");
    await writeFile(body, '{"count": 3}');
    expect((await loop([...fresh, `--selfplay=${body}`])).refusal).toBe(
      `--selfplay ${body} holds "count", which the loop decides`,
    );
    const taken = inRun("models", "ft%3Ausergpt%3Aloop-1");
    expect((await loop([...fresh, `--out=${inRun("models")}`])).refusal).toBe(
      `${taken} is there already: another --name or --out keeps the runs apart`,
    );
    expect(await stat(join(other, "settings.json")).catch(() => null)).toBeNull();
  });
});

test("a file that somebody changed afterwards is told by --verify, and so is a model", async () => {
  const copy = join(folder, "copy");
  await cp(inRun(), copy, { recursive: true });
  await writeFile(join(copy, "rounds/1/kept.jsonl"), "{}\n");
  await rm(join(copy, "rounds/1/funnel.json"));
  await writeFile(join(copy, "models/ft%3Ausergpt%3Aloop-1/model.onnx.data"), "");
  const { problems } = await verifyRun(copy, join(copy, "models"), never);
  expect(problems).toEqual([
    expect.stringMatching(/^rounds\/1\/kept\.jsonl of round 1 is not what its record names: [0-9a-f]{64}$/),
    "rounds/1/funnel.json of round 1 is not what its record names: it is gone",
    expect.stringMatching(/^model ft:usergpt:loop-1 of round 1 is not what its record names: .*model\.onnx\.data/),
    expect.stringMatching(/^served ft:usergpt:loop-1 of round 1 is not what its record names: .*model\.onnx\.data/),
  ]);
});
