import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trainHumanLikeness } from "../../../training/measures/human-training.ts";
import { writeHumanLikeness } from "../../../training/measures/human-likeness.ts";
import type { StatsReport } from "../../../training/stats/stats-report.ts";
import { errorBody, type FakeAnswer, refuses, startFakeUpstream } from "../../support/fake-upstream.ts";
import { fixture, tokenizerFolder } from "./measured.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "realchat-stats-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cli = join(import.meta.dirname, "../../../training/stats/cli.ts");
const run = (flags: readonly string[], environment: Record<string, string> = {}) =>
  promisify(execFile)(process.execPath, [cli, ...flags], {
    env: { PATH: process.env["PATH"] ?? "", ...environment },
  }).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
const sources = [fixture("garden.jsonl"), fixture("selfplay.jsonl")];
const common = ["--clean", "none", "--tokenizer", tokenizerFolder];
const marks: FakeAnswer = (response) => {
  const message = { content: 'Here you are: {"complexity": 4, "relevancy": 8, "logicality": 9}' };
  const body = JSON.stringify({ choices: [{ finish_reason: "stop", message }] });
  response.writeHead(200, { "content-type": "application/json" }).end(body);
};

describe("npm run stats", () => {
  it("fills Table 5 with a judge and a classifier, and writes table, JSON and page", async () => {
    const questions = Array.from({ length: 200 }, (_, index) => ({
      text: index % 2 === 0 ? `can u tell me about thing ${index}` : `Could you please elaborate on aspect ${index}?`,
      isHuman: index % 2 === 0,
      source: `s${index}`,
    }));
    const [classifier, json, html, scores] = ["c.json", "s.json", "s.html", "x.json"].map((name) => join(folder, name));
    await writeFile(classifier!, JSON.stringify(writeHumanLikeness(trainHumanLikeness("toy", questions))));
    await writeFile(scores!, JSON.stringify({ bench: { garden: 5, selfplay: 6 } }));
    const judge = await startFakeUpstream(marks);
    const flags = ["--judge", "j", "--judge-url", judge.url, "--judge-sample", "3", "--judge-seeds", "2"];
    const { stdout, stderr, code } = await run(
      [
        ...sources,
        ...common,
        ...flags,
        "--human-likeness",
        classifier!,
        "--scores",
        scores!,
        "--json",
        json!,
        "--html",
        html!,
      ],
      { REALCHAT_JUDGE_KEY: "sk-secret" },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const report = JSON.parse(await readFile(json!, "utf8")) as StatsReport;
    for (const { quality } of report.rows) {
      expect(Object.entries(quality.table5).filter(([, value]) => value === null)).toEqual([]);
      expect(quality.table5).toMatchObject({ complexity: 4, relevancy: 8, logicality: 9 });
      expect(quality.judges).toMatchObject([
        { scored: 6, criteria: { complexity: { n: 3, judgedTwice: 3, disagreement: 0 } } },
      ]);
    }
    expect(report.judgements).toHaveLength(12);
    expect(report.correlations).toHaveLength(9);
    expect(judge.requests[0]?.headers.authorization).toBe("Bearer sk-secret");
    const page = await readFile(html!, "utf8");
    for (const text of [stdout, page, JSON.stringify(report)]) expect(text).not.toContain("sk-secret");
    expect(stdout).toMatch(/^set +dialogues/);
    expect(stdout).toContain("Human ratio is that of the classifier toy");
    expect(stdout).toContain("The judge is j");
    expect(page).toContain("Marks for the questions");
  });

  it("keeps its figures when the judge fails, says why, and ends with 1", async () => {
    const judge = await startFakeUpstream(refuses(401, errorBody("bad key")));
    const { stdout, code } = await run([...sources, ...common, "--judge", "j", "--judge-url", judge.url]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/Judging ended early: j at http.* failed: .*bad key/);
    expect(stdout).toMatch(/^garden +5 +2\.40/m);
  });

  it("prints nothing but JSON with --json -, and tells rows that it cannot read", async () => {
    const broken = join(folder, "broken.jsonl");
    await writeFile(broken, `${await readFile(sources[0]!, "utf8")}{"id": 3\n`);
    const { stdout, stderr, code } = await run([broken, ...common, "--json", "-"]);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as StatsReport;
    expect(report.sources[0]?.funnel).toMatchObject({ rows: { read: 7, conversations: 6, broken: 1 } });
    expect(stderr).toMatch(/broken\.jsonl, row 7: /);
  });

  it.each([
    [["--help"], 0, "stdout", /--judge-url URL/],
    [["nope.jsonl", ...common], 1, "stderr", /^stats: nope\.jsonl cannot be read/],
    [["x", "--split", "some"], 2, "stderr", /^stats: --split must be one of/],
  ] as const)("ends with a sentence and a code: %j", async (flags, expected, stream, message) => {
    const ended = await run(flags);
    expect(ended.code).toBe(expected);
    expect(ended[stream]).toMatch(message);
  });
});
