import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { hashedGramEncoder } from "../../../training/measures/encoder.ts";
import { provenanceAt } from "../../../training/stats/quality-dialogue.ts";
import { namesOf, type RowReport, type StatsReport } from "../../../training/stats/stats-report.ts";
import { terminalReport } from "../../../training/stats/terminal-report.ts";
import { fixture, measuredSources, reportOf } from "./measured.ts";

const files = [fixture("garden.jsonl"), fixture("selfplay.jsonl")];
const golden = JSON.parse(readFileSync(fixture("figures.json"), "utf8")) as Record<string, Record<string, number>>;

const total = (bins: readonly { count: number }[]) => bins.reduce((sum, { count }) => sum + count, 0);
const setOf = (conversation: Parameters<typeof provenanceAt>[0]) =>
  provenanceAt(conversation, "seed_item.set") ?? "(none)";

const rounded = (figures: object) =>
  Object.entries(figures).map(([key, value]) => [key, Number((value as number).toFixed(10))]);

let report: StatsReport;
let garden: RowReport;
let selfplay: RowReport;
beforeAll(async () => {
  report = reportOf(await measuredSources(files), {
    withPaper: true,
    scores: { bench: { garden: 5, selfplay: 6 } },
  });
  [garden, selfplay] = report.rows as [RowReport, RowReport];
});

describe.each(["garden", "selfplay"])("the figures of %s are those counted without this code:", (name) => {
  it("Table 5, both ways of counting sessions, percentiles' ends", () => {
    const { quality } = name === "garden" ? garden : selfplay;
    const { dialogues, table5, tokens, mtld, topic } = quality;
    const own = {
      seen: dialogues.seen,
      kept: dialogues.kept,
      turns: table5.turns,
      sessionTokens: table5.sessionTokens,
      sessionAsSum: tokens.sessionAsSum.mean,
      utteranceTokens: table5.utteranceTokens,
      userTokens: tokens.userUtterance.mean,
      mtld: table5.mtld,
      mtldCorpus: mtld.corpus,
      questions: topic.questions,
      longestSession: tokens.session.max,
    };
    expect(rounded(own)).toEqual(rounded(golden[name] ?? {}));
  });
});

it("the topic cosine is the mean of the whole matrix, the diagonal included", () => {
  const encoder = hashedGramEncoder();
  const rows = readFileSync(fixture("selfplay.jsonl"), "utf8").trim().split("\n");
  const vectors = rows
    .flatMap((row) => (JSON.parse(row) as { messages: { role: string; content: string }[] }).messages)
    .filter(({ role }) => role === "user")
    .map(({ content }) => encoder.encode(content));
  let sum = 0;
  for (const a of vectors) for (const b of vectors) for (const [index, value] of a.entries()) sum += value * b[index]!;
  expect(selfplay.quality.table5.topicMeanCosine).toBeCloseTo(sum / vectors.length ** 2, 6);
});

describe("repeats and habits", () => {
  it("are counted over the dialogues as they came", () => {
    expect(garden.quality.rates).toMatchObject({
      exactDuplicates: { count: 1, of: 6 },
      nearDuplicates: { count: 0, of: 6 },
      // "When should I prune …" of the third, "What is eating …" of the fourth.
      openerCollisions: { count: 2, of: 6 },
      shortDialogues: { count: 4, of: 6 },
      verbatimRepeats: { count: 1, of: 14 },
      // One opener of two dialogues, and both questions of the duplicate.
      questionsAskedElsewhere: { count: 6, of: 14 },
      genericQuestions: { count: 2, of: 14 },
    });
    expect(garden.quality.rates).not.toHaveProperty("guardrailRejects");
  });
  it("openers that came again are named, first words are of what is measured", () => {
    expect(garden.repeatedOpeners.top).toEqual([
      { text: "what is eating my cabbage leaves?", count: 2 },
      { text: "when should i prune an apple tree?", count: 2 },
    ]);
    expect(garden.firstWords.top.slice(0, 2)).toEqual([
      { text: "tell me", count: 2 },
      { text: "when should", count: 2 },
    ]);
    expect(garden.firstWords.of).toBe(12);
  });
  it("stop reasons and causes are told where the source has them; seed rounds are no openers", () => {
    expect(selfplay.quality.stopReasons).toEqual({ end_token: 2, max_turns: 1 });
    expect(selfplay.quality.turnCauses).toEqual({ end_token: 12 });
    expect(garden.quality.stopReasons).toEqual({ not_recorded: 6 });
    expect(selfplay.quality.rates.openerCollisions).toMatchObject({ count: 1, of: 3 });
    expect(selfplay.quality.rates.verbatimRepeats.of).toBe(6);
  });
});

it("histograms have the same bins for all sets and both roles, and hold everything measured", () => {
  for (const key of ["rounds", "sessionTokens", "userTokens", "assistantTokens"] as const) {
    const edges = (row: RowReport) => row.histograms[key].map(({ from, to }) => [from, to]);
    expect(edges(garden)).toEqual(edges(selfplay));
  }
  expect(total(garden.histograms.rounds)).toBe(5);
  expect(total(garden.histograms.userTokens)).toBe(12);
  expect(total(garden.histograms.assistantTokens)).toBe(12);
  expect(garden.histograms.rounds).toEqual([
    { from: 1, to: 2, count: 1 },
    { from: 2, to: 3, count: 2 },
    { from: 3, to: 4, count: 1 },
    { from: 4, to: null, count: 1 },
  ]);
});

it("a source can be divided by a field of its provenance", async () => {
  const { rows, sources } = reportOf(await measuredSources([fixture("selfplay.jsonl")], { groupOf: setOf }));
  expect(rows.map(({ name, group, quality }) => [name, group, quality.dialogues.kept])).toEqual([
    ["selfplay: (none)", "(none)", 2],
    ["selfplay: desk", "desk", 1],
  ]);
  expect(sources).toHaveLength(1);
});

it("an empty source has a row without figures", async () => {
  const folder = await mkdtemp(join(tmpdir(), "realchat-stats-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const empty = join(folder, "empty.jsonl");
  await writeFile(empty, "");
  const { rows } = reportOf(await measuredSources([empty, ...files]));
  expect(rows[0]).toMatchObject({ name: "empty", quality: { table5: { dialogues: 0, turns: null, mtld: null } } });
  expect(rows[0]?.histograms.rounds.map(({ count }) => count)).toEqual([0, 0, 0, 0]);
  expect(reportOf(await measuredSources([empty])).rows[0]?.histograms.rounds).toEqual([]);
});

describe("the JSON", () => {
  const pathsOf = (value: unknown, path = ""): string[] => {
    if (Array.isArray(value)) return value.length === 0 ? [path] : pathsOf(value[0], `${path}[]`);
    if (typeof value !== "object" || value === null) return [path];
    return Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, path === "" ? key : `${path}.${key}`));
  };
  it("is plain, and has the fields that it always had", async () => {
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    // What the funnel counts is the cleaning's to say, and correlations, marks and classifiers have tests of their own.
    const paths = pathsOf(report).filter((path) => !path.startsWith("sources[].funnel."));
    const summarised = new Set(paths.map((path) => path.replace(/\.(?:n|mean|min|max|p\d\d)$/, ".*")));
    await expect(`${[...summarised].join("\n")}\n`).toMatchFileSnapshot(fixture("json-fields.txt"));
  });
});

describe("in the terminal", () => {
  it("every set is a line under the paper's columns, the paper's below", () => {
    const lines = terminalReport(report).split("\n");
    expect(lines[0]).toMatch(
      /^set +dialogues +turns +session +utterance +cosine +MTLD +human +complexity +relevancy +logicality$/,
    );
    expect(lines[1]).toMatch(/^garden +5 +2\.40 +154\.00 +32\.08 +0\.\d{4} +15\.53( +–){4}$/);
    expect(lines[2]).toMatch(/^selfplay +3 +2\.33 +64\.00 +13\.71 +0\.\d{4} +4\.57( +–){4}$/);
    expect(lines[3]).toMatch(
      /^\(paper\) RealChat +10000 +5\.39 +2182\.94 +202\.55 +0\.7078 +31\.65 +0\.6727 +8\.5700 +9\.5992 +9\.8088$/,
    );
    expect(lines.slice(3, 9).every((line) => line.startsWith("(paper) "))).toBe(true);
  });
  it("correlations come with n and the warning", () => {
    expect(terminalReport(report)).toMatch(/turns +bench +-1\.0000 +-1\.0000 +– +2 +Not significant: n = 2\./);
  });
  it("text of a data set is no control sequence", () => {
    const [row] = report.rows;
    const hostile = { top: [{ text: "\u001b[2Jboo\u0007\u202e", count: 2 }], distinct: 1, of: 2, beyondLimit: 0 };
    const text = terminalReport({ ...report, rows: [{ ...row!, firstWords: hostile, repeatedOpeners: hostile }] });
    expect(text).toContain("boo");
    for (const control of ["\u001b", "\u0007", "\u202e"]) expect(text).not.toContain(control);
  });
});

it("sources are called by their files' names where that tells them apart", () => {
  expect(namesOf(["a/x.jsonl.gz", "b/y.json", "folder/", "job:spj_1"])).toEqual(["x", "y", "folder", "job:spj_1"]);
  expect(namesOf(["a/x.jsonl", "b/x.json", "y"])).toEqual(["a/x.jsonl", "b/x.json", "y"]);
});

it("what there was no room for is said in the notes, and leaves every other figure as it is", async () => {
  const limits = { comparedDialogues: 2, corpusWords: 20 };
  const limited = reportOf(await measuredSources([fixture("garden.jsonl")], { limits }));
  const [row] = limited.rows;
  const { kept } = garden.quality.dialogues;
  expect(row!.quality.dialogues).toEqual({ ...garden.quality.dialogues, uncompared: kept - 2 });
  const { corpusWords } = garden.quality.mtld;
  expect(row!.quality.mtld).toMatchObject({ corpusWords: 20, wordsBeyondLimit: corpusWords - 20 });
  expect(row!.quality.mtld.corpus).not.toBe(garden.quality.mtld.corpus);
  expect(row!.quality.table5).toEqual(garden.quality.table5);
  const text = terminalReport(limited);
  expect(text).toContain("near duplicates were looked for among the first 2 different dialogues alone");
  expect(text).toContain(`over the first 20 of ${corpusWords} words`);
  expect(terminalReport(report)).not.toContain("among the first");
});
