import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerSchema } from "../../../training/evaluate/answer-file.ts";
import { readRows } from "../../../training/evaluate/json-lines.ts";
import { pairSchema, singleSchema } from "../../../training/evaluate/judgment-file.ts";
import { runCommand } from "../../../training/evaluate/run-command.ts";
import { MODELS_FOLDER } from "../../support/engine.ts";
import { type FakeAnswer, hangs, startFakeUpstream } from "../../support/fake-upstream.ts";
import { startServerProcess, type ServerProcess } from "../../support/server-process.ts";

const cli = join(import.meta.dirname, "../../../training/evaluate/cli.ts");
const never = new AbortController().signal;

/** The command in this process; what it prints and notes. */
async function run(...flags: readonly string[]): Promise<{ stdout: string; stderr: string; code: number }> {
  const said = { stdout: "", stderr: "" };
  const terminal = {
    print: (text: string) => void (said.stdout += `${text}\n`),
    note: (text: string) => void (said.stderr += `${text}\n`),
  };
  const code = await runCommand(flags, { environment: {}, terminal }, never);
  return { ...said, code };
}

const replies: FakeAnswer = (response) =>
  void response
    .writeHead(200, { "content-type": "application/json" })
    .end('{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Yes."}}]}');

let folder: string;
let bench: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "evaluate-"));
  bench = join(folder, "tiny.jsonl");
  const questions = Array.from({ length: 6 }, (_, index) => ({
    question_id: index + 1,
    category: index < 3 ? "writing" : "stem",
    turns: [`I want to find a restaurant, number ${index}.`, "What is its address?"],
  }));
  await writeFile(bench, questions.map((question) => JSON.stringify(question)).join("\n"));
});
afterAll(() => rm(folder, { recursive: true }));

it("a run that was killed goes on where it was, without a row twice", async () => {
  // Three answers of two turns, then silence.
  const stuck = await startFakeUpstream(...Array.from({ length: 6 }, () => replies), hangs());
  const dir = join(folder, "killed");
  const flags = ["answers", "--bench", bench, "--dir", dir, "--model", "m", "--concurrency", "1"];
  const child = spawn(process.execPath, [cli, ...flags, "--url", stuck.url], { stdio: "ignore" });
  while (stuck.requests.length < 7) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill("SIGKILL");
  await once(child, "exit");
  const path = join(dir, "tiny/model_answer/m.jsonl");
  const before = await readRows(path, answerSchema);
  expect(before).toHaveLength(3);
  // As if it had died in the middle of a row.
  await writeFile(path, `${await readFile(path, "utf8")}{"question_id":4,"answ`);

  const well = await startFakeUpstream(replies);
  const { stdout, code } = await run(...flags, "--url", well.url);
  expect(code).toBe(0);
  expect(stdout).toContain("3 questions answered, 3 were there already");
  expect(well.requests).toHaveLength(6);
  const rows = await readRows(path, answerSchema);
  expect(rows.map(({ question_id: id }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(rows.slice(0, 3)).toEqual(before);
});

describe("our own server", () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServerProcess(["--threads", "1"]);
  });
  afterAll(() => server.stop());

  it("answers and judges, and so do its models without it", async () => {
    const dir = join(folder, "own");
    const common = ["--bench", bench, "--dir", dir, "--max-tokens", "24"];
    const there = ["--url", server.url, ...common];
    const here = ["--threads", "1", ...common];
    const answered = await run("answers", "--model", "realm", "--model-id", "there", ...there);
    expect(answered).toMatchObject({ code: 0, stdout: expect.stringContaining("6 questions answered") });
    const alone = await run("answers", "--model", join(MODELS_FOLDER, "realm"), "--model-id", "here", ...here);
    expect(alone).toMatchObject({ code: 0, stdout: expect.stringContaining("6 questions answered") });
    const answersOf = async (name: string) =>
      (await readRows(join(dir, `tiny/model_answer/${name}.jsonl`), answerSchema))
        .toSorted((a, b) => a.question_id - b.question_id)
        .map(({ choices }) => choices[0]?.turns);
    const [first, second] = [await answersOf("there"), await answersOf("here")];
    // The same seeds and temperatures: the same draws.
    expect(first).toEqual(second);
    expect(new Set(first.flat()).size).toBeGreaterThan(3);

    const judged = await run("judge", "pointwise", "--model", "here", "--model", "there", "--judge", "realm", ...there);
    expect(judged).toMatchObject({ code: 0, stdout: expect.stringContaining("there, 12 turns rated") });
    const pair = await run("judge", "pairwise", "--model", "here", "--model", "there", "--judge", "realm", ...there);
    expect(pair).toMatchObject({ code: 0, stdout: expect.stringContaining("here and there, 12 turns compared") });
    const singles = await readRows(join(dir, "tiny/model_judgment/realm_single.jsonl"), singleSchema);
    expect(singles).toHaveLength(24);
    expect(singles.filter(({ fault, judgment }) => fault === undefined && judgment !== "").length).toBeGreaterThan(6);
    expect(await readRows(join(dir, "tiny/model_judgment/realm_pair.jsonl"), pairSchema)).toHaveLength(12);

    const [html, json] = [join(folder, "own.html"), join(folder, "own.json")];
    const report = await run("report", "--bench", bench, "--dir", dir, "--html", html, "--json", json);
    expect(report).toMatchObject({ code: 0, stdout: expect.stringContaining("tiny.jsonl, judged by realm") });
    expect(await readFile(html, "utf8")).toContain("Judged by realm");
    expect(JSON.parse(await readFile(json, "utf8"))).toMatchObject({ judges: [{ judge: "realm" }] });
  });
});

it("held-out dialogues have a perplexity per role, and each model is better at its own than the other model", async () => {
  const data = join(folder, "dialogues.jsonl");
  const said = [
    "I would like to find a place to eat in San Jose.",
    "What kind of food would you like?",
    "I like Italian food.",
    "There is a nice restaurant called Il Fornaio in San Jose.",
  ];
  const conversations = said.map((value, index) => ({ from: index % 2 === 0 ? "human" : "gpt", value }));
  await writeFile(data, `${JSON.stringify({ id: "a", conversations })}\n{"broken":1}\n`);
  const bitsOf = async (model: string) => {
    const json = join(folder, `${model}.json`);
    const flags = [
      "--model",
      join(MODELS_FOLDER, model),
      "--data",
      data,
      "--role",
      "both",
      "--threads",
      "1",
      "--json",
      json,
    ];
    const { code, stdout, stderr } = await run("perplexity", ...flags);
    expect(code).toBe(0);
    expect(stdout).toContain(`Held-out text under ${model}`);
    expect(stderr).toContain("1 rows cannot be read");
    const { lines } = JSON.parse(await readFile(json, "utf8")) as {
      lines: { role: string; turns: number; bytes: number; bitsPerByte: { value: number } }[];
    };
    expect(lines.map(({ turns, bytes }) => [turns, bytes]).toSorted((a, b) => a[1]! - b[1]!)).toEqual([
      [2, said[0]!.length + said[2]!.length],
      [2, said[1]!.length + said[3]!.length],
    ]);
    return Object.fromEntries(lines.map(({ role, bitsPerByte }) => [role, bitsPerByte.value]));
  };
  const usergpt = await bitsOf("usergpt");
  const realm = await bitsOf("realm");
  expect(usergpt["user"]).toBeLessThan(realm["user"]!);
  expect(realm["assistant"]).toBeLessThan(usergpt["assistant"]!);

  const json = join(folder, "pair.json");
  const pair = ["--model", join(MODELS_FOLDER, "usergpt"), "--against", join(MODELS_FOLDER, "realm")];
  const flags = [...pair, "--data", data, "--role", "both", "--threads", "1"];
  const { stdout } = await run("perplexity", ...flags, "--json", json);
  expect(stdout).toContain("Held-out text under realm");
  expect(stdout).toContain("Bits a byte of the same turns");
  const { against, ...own } = JSON.parse(await readFile(json, "utf8")) as {
    against: { model: { id: string }; lines: unknown; comparisons: { role: string; difference: { value: number } }[] };
  };
  // What each model has alone, and nothing but the comparison beside it.
  expect(own).toEqual(JSON.parse(await readFile(join(folder, "usergpt.json"), "utf8")));
  expect(against.model.id).toBe("realm");
  expect(against.comparisons.map(({ role, difference }) => [role, difference.value])).toEqual(
    ["user", "assistant"].map((role) => [role, expect.closeTo(realm[role]! - usergpt[role]!, 12)]),
  );
});

it("the embedded user model ends a dialogue behind a farewell and not before, and an assistant is not asked", async () => {
  const data = join(folder, "farewell.jsonl");
  const said = [
    "I would like to find a place to eat in San Jose.",
    "What kind of food would you like?",
    "Italian food. Thank you, that is all I need. Goodbye.",
    "Have a great day!",
  ];
  const conversations = said.map((value, index) => ({ from: index % 2 === 0 ? "human" : "gpt", value }));
  await writeFile(data, JSON.stringify({ id: "a", conversations }));
  const json = join(folder, "ends.json");
  const flags = ["--data", data, "--complete", "all", "--threads", "1", "--json", json];
  const { code, stdout } = await run("termination", "--model", "usergpt", ...flags);
  expect(code).toBe(0);
  expect(stdout).toContain("Where usergpt ends dialogues");
  expect(JSON.parse(await readFile(json, "utf8"))).toMatchObject({
    model: { id: "usergpt", role: "user" },
    areComplete: true,
    lines: [
      { file: data, dialogues: 1, places: 2, humanEnds: 1, sharedEnds: 1, endsByToken: 1, precision: 1, recall: 1 },
    ],
  });
  const assistant = await run("termination", "--model", "realm", "--data", data);
  expect(assistant).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--model realm writes the assistant's turns"),
  });
});

it("a scaling curve comes from flags, and correlations from measures and scores alone", async () => {
  const curve = await run("scaling", "--sizes", "1000,2000,4000", "--scores", "5,5.5,6");
  expect(curve).toMatchObject({ code: 0, stdout: expect.stringContaining("0.5000 a doubling") });
  const measures = join(folder, "measures.json");
  const rows = [1, 2, 3, 4].map((n) => ({ model: `m${n}`, measures: { turns: n }, scores: { mine: n * n } }));
  await writeFile(measures, JSON.stringify(rows));
  const html = join(folder, "measures.html");
  const report = await run("report", "--dir", join(folder, "none"), "--measures", measures, "--html", html);
  expect(report.stdout).toContain("0.9844* (4)");
  expect(report.stdout).toContain("1.0000* (4)");
  expect(await readFile(html, "utf8")).toContain("0.9844*");
});

it.each([
  [["answer"], 2, 'There is no command "answer"'],
  [["answers"], 2, "--model is needed."],
  [["answers", "--modle", "x"], 2, "--modle"],
  [["answers", "--model", "realm", "--concurrency", "0"], 2, "--concurrency must be whole numbers from 1"],
  [["answers", "--model", "realm", "--device", "tpu"], 2, '--device must be auto, cpu, cuda, webgpu, not "tpu"'],
  [["answers", "--model", "no-such"], 1, "There is no model no-such"],
  [["answers", "--model", "m", "--url", "here"], 1, "The url must be one such as"],
  [["judge", "pairwise", "--model", "m", "--judge", "j"], 2, "--model is needed twice."],
  [["judge", "pointwise", "--model", "m"], 2, "--judge is needed."],
  [["perplexity", "--model", "realm"], 2, "--data is needed."],
  [["perplexity", "--model", "realm", "--data", "no-such"], 1, "no-such"],
  [["scaling", "--sizes", "1,2", "--scores", "1"], 2, "--sizes has 2 values and --scores 1."],
  [["report", "--dir", "no-such"], 1, "There are no judgments of mt-bench yet."],
])("%j ends with %d and a sentence", async (flags, code, message) => {
  const found = await run(...flags);
  expect(found).toMatchObject({ code, stderr: expect.stringContaining(message) });
  expect(found.stderr).not.toContain("    at ");
});

it("help lists every command and flag", async () => {
  const { stdout, code } = await run("--help");
  expect(code).toBe(0);
  for (const word of [
    "judge pointwise",
    "--judge-id",
    "perplexity",
    "--against",
    "termination",
    "--complete",
    "--holdout",
    "subset",
    "scaling",
  ]) {
    expect(stdout).toContain(word);
  }
});
