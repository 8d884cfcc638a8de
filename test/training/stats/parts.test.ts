import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openEndpoint } from "../../../training/judge/endpoint.ts";
import { Distribution } from "../../../training/measures/distribution.ts";
import { FlagError } from "../../../training/prepare/flags.ts";
import { readStatsCommand } from "../../../training/stats/flags.ts";
import { histogramsOver } from "../../../training/stats/histograms.ts";
import { paperRows } from "../../../training/stats/paper-rows.ts";
import { judgeDialogues, JudgeSample, type RecordedJudgement } from "../../../training/stats/sampled-judging.ts";
import { correlateRows, readScores } from "../../../training/stats/scores.ts";
import { TopCounts } from "../../../training/stats/top-counts.ts";
import { errorBody, type FakeAnswer, refuses, startFakeUpstream } from "../../support/fake-upstream.ts";
import { never, tokenizerFolder } from "./measured.ts";

const distributionOf = (values: readonly number[]) => {
  const distribution = new Distribution();
  for (const value of values) distribution.add(value);
  return distribution;
};

describe("histograms", () => {
  it("hold every value once, in bins that follow one another, the same for all", () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(lengths, lengths, (first, second) => {
        const [a, b] = histogramsOver([distributionOf(first), distributionOf(second)]);
        for (const [bins, values] of [
          [a!, first],
          [b!, second],
        ] as const) {
          for (const { from, to, count } of bins) {
            expect(count).toBe(values.filter((value) => value >= from && value < (to ?? Infinity)).length);
          }
          expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
          for (const [index, bin] of bins.slice(1).entries()) expect(bins[index]?.to).toBe(bin.from);
        }
        expect(a!.map(({ from }) => from)).toEqual(b!.map(({ from }) => from));
        expect(a!.length).toBeLessThan(32);
      }),
    );
  });
  it("of nothing are empty", () => {
    expect(histogramsOver([distributionOf([]), distributionOf([])])).toEqual([[], []]);
    expect(histogramsOver([distributionOf([3]), distributionOf([])])).toEqual([
      [{ from: 3, to: 4, count: 1 }],
      [{ from: 3, to: 4, count: 0 }],
    ]);
  });
});

describe("frequent texts", () => {
  it("come most frequent first, equals by their letters", () => {
    const counts = new TopCounts();
    for (const text of ["b", "a", "c", "c"]) counts.add(text);
    expect(counts.top(2)).toEqual({
      top: [
        { text: "c", count: 2 },
        { text: "a", count: 1 },
      ],
      distinct: 3,
      of: 4,
      beyondLimit: 0,
    });
    expect(counts.top(9, 2).top).toEqual([{ text: "c", count: 2 }]);
  });
  it("beyond the limit are counted and not kept; known ones still are", () => {
    const counts = new TopCounts(2);
    for (const text of ["a", "b", "c", "a"]) counts.add(text);
    expect(counts.top(9)).toMatchObject({
      distinct: 2,
      of: 4,
      beyondLimit: 1,
      top: [{ text: "a", count: 2 }, { text: "b" }],
    });
  });
});

const dialogueOf = (id: string) => ({ id, turns: [{ role: "user" as const, content: `Why ${id}?` }] });

const sampleOf = (order: readonly string[]) => {
  const sample = new JudgeSample(5);
  for (const id of order) sample.offer(dialogueOf(id));
  return sample.dialogues.map(({ id }) => id);
};

it("the sample of dialogues for a judge does not depend on their order", () => {
  const ids = Array.from({ length: 40 }, (_, index) => `d${index}`);
  expect(sampleOf(ids)).toHaveLength(5);
  expect(new Set(sampleOf(ids)).size).toBe(5);
  fc.assert(
    fc.property(fc.shuffledSubarray(ids, { minLength: 40 }), (order) => {
      expect(sampleOf(order)).toEqual(sampleOf(ids));
    }),
  );
  expect(sampleOf(["d1"])).toEqual(["d1"]);
});

/** After a while, so that calls overlap. */
const marks: FakeAnswer = async (response) => {
  await sleep(30);
  const message = { content: '{"complexity":5,"relevancy":6,"logicality":7}' };
  const body = JSON.stringify({ choices: [{ finish_reason: "stop", message }] });
  response.writeHead(200, { "content-type": "application/json" }).end(body);
};
const judge = async (url: string, into: RecordedJudgement[]) => {
  const model = openEndpoint({ baseUrl: url, model: "judge-1", apiKey: null, maxRetries: 0 });
  const options = { setup: { model, retries: 0 }, rubric: "paper-3", seeds: [0, 1], parallel: 3 } as const;
  await judgeDialogues(["a", "b", "c", "d"].map(dialogueOf), options, (one) => into.push(one), never);
};

describe("judging a sample", () => {
  it("asks about each dialogue under each seed, several at once, and records what was said", async () => {
    const server = await startFakeUpstream(marks);
    const judgements: RecordedJudgement[] = [];
    await judge(server.url, judgements);
    expect(judgements).toHaveLength(8);
    expect(new Set(judgements.map(({ dialogueId, seed }) => `${dialogueId} ${seed}`)).size).toBe(8);
    expect(judgements[0]).toMatchObject({
      outcome: "scored",
      model: "judge-1",
      scores: { complexity: 5, relevancy: 6, logicality: 7 },
      reply: '{"complexity":5,"relevancy":6,"logicality":7}',
    });
    expect(judgements[0]?.judge).toBe(`judge-1 ${judgements[0]?.promptHash}`);
    expect(server.load.most).toBe(3);
  });
  it("counts sessions that are too long for the judge", async () => {
    const server = await startFakeUpstream(refuses(400, errorBody("too long", "context_length_exceeded")), marks);
    const judgements: RecordedJudgement[] = [];
    await judge(server.url, judgements);
    expect(judgements.map(({ outcome }) => outcome).toSorted()).toEqual([
      ...Array<string>(7).fill("scored"),
      "skipped",
    ]);
  });
  it("ends at the first failure and keeps the marks it has", async () => {
    const server = await startFakeUpstream(marks, refuses(401, errorBody("bad key")));
    const judgements: RecordedJudgement[] = [];
    await expect(judge(server.url, judgements)).rejects.toMatchObject({ code: "upstream_refused" });
    expect(judgements.length).toBeLessThan(2);
    expect(server.requests.length).toBeLessThan(6);
  });
});

describe("scores", () => {
  const scores = {
    VicunaBench: [8.3438, 8.2625, 8.0813, 4.6375, 7.7188, 8.2375],
    "MT-Bench": [5.3406, 5.3937, 5.0656, 3.95, 4.6906, 5.9406],
  };
  const named = Object.fromEntries(
    Object.entries(scores).map(([score, values]) => [
      score,
      Object.fromEntries(paperRows.map(({ name }, index) => [name, values[index] ?? null])),
    ]),
  );
  it("give the paper's correlations from the paper's rows, with n and the warning below 0.811", () => {
    const lines = correlateRows(paperRows, readScores("scores.json", JSON.stringify(named)));
    const line = (column: string, score: string) => lines.find((one) => one.column === column && one.score === score);
    expect(line("sessionTokens", "VicunaBench")?.pearson.r).toBeCloseTo(0.8531, 4);
    expect(line("sessionTokens", "VicunaBench")?.pearson.warning).toBeNull();
    expect(line("topicMeanCosine", "MT-Bench")?.pearson.r).toBeCloseTo(-0.8815, 4);
    expect(line("complexity", "MT-Bench")?.pearson).toMatchObject({
      n: 6,
      warning: expect.stringContaining("n = 6") as string,
    });
    expect(lines).toHaveLength(18);
  });
  it("that name no row, or are no scores, are complained about by name", () => {
    expect(() => correlateRows(paperRows, { s: { nobody: 1 } })).toThrow(/Score "s" names "nobody", which is no row/);
    expect(() => readScores("f.json", "{")).toThrow("f.json is not JSON.");
    expect(() => readScores("f.json", '{"s":{"a":"b"}}')).toThrow(/f\.json, field "s\.a"/);
    expect(() => readScores("f.json", "{}")).toThrow(/f\.json: has no scores/);
  });
});

const read = (...argv: readonly string[]) => readStatsCommand([...argv, "--tokenizer", tokenizerFolder], () => {});

describe("flags", () => {
  it("leave sessions whole unless windows are asked for", () => {
    expect(read("a.jsonl")?.prepare.split).toBeNull();
    expect(readStatsCommand(["a.jsonl", "--model", "realm", "--split", "fit"], () => {})?.prepare.split?.rule).toBe(
      "fit",
    );
    expect(readStatsCommand(["a.jsonl", "--model", "realm"], () => {})).toMatchObject({
      prepare: { split: null },
      tokenizer: { kind: "model" },
    });
  });
  it("name a judge with its address", () => {
    expect(read("a", "--judge", "j", "--judge-url", "http://h/v1")?.judge).toEqual({
      model: "j",
      url: "http://h/v1",
      sample: 100,
      seeds: 1,
      parallel: 4,
      rubric: "paper-3",
    });
  });
  it.each([
    [[], /at least one source/],
    [["a", "a"], /a is named twice/],
    [["a", "--model", "realm"], /exclude each other/],
    [["a", "--judge", "j"], /--judge needs --judge-url/],
    [["a", "--judge-url", "http://h"], /--judge-url needs --judge/],
    [["a", "--judge", "j", "--judge-url", "file:///etc"], /http or https/],
    [
      ["a", "--judge", "j", "--judge-url", "http://h", "--judge-sample", "0"],
      /--judge-sample must be a positive integer/,
    ],
    [["a", "--judge", "j", "--judge-url", "http://h", "--judge-rubric", "x"], /paper-3 or repository-4/],
    [["a", "--nothing"], /^Unknown option '--nothing'$/],
  ] as const)("that cannot be are told in a sentence: %j", (argv, message) => {
    expect(() => read(...argv)).toThrow(FlagError);
    expect(() => read(...argv)).toThrow(message);
  });
});
