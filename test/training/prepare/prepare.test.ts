// Holds the whole way from files to conversations: order of steps, what is counted, what is held out, and flags.
import { parseArgs } from "node:util";
import { expect, it } from "vitest";
import { Funnel } from "../../../training/clean/funnel.ts";
import { renderFunnel } from "../../../training/clean/funnel-table.ts";
import { PREPARE_FLAGS, toPrepareOptions } from "../../../training/prepare/flags.ts";
import { isGroupHeldOut, prepare } from "../../../training/prepare/prepare.ts";
import { folderOf, never, textOf } from "../sources/source-files.ts";

const human = (value: string) => ({ from: "human", value });
const gpt = (value: string) => ({ from: "gpt", value });
const session = (id: string, ...conversations: readonly object[]) => JSON.stringify({ id, conversations });

const long = (word: string) => `${word} `.repeat(400).trim();

async function prepared(rows: readonly string[], ...args: readonly string[]) {
  const folder = await folderOf({ "data.jsonl": rows.join("\n") });
  const broken: string[] = [];
  const { values } = parseArgs({ args: [...args], options: PREPARE_FLAGS });
  const options = toPrepareOptions(values, ({ row }, reason) => broken.push(`${row}: ${reason}`));
  const funnel = new Funnel();
  const all = await Array.fromAsync(prepare([folder], options, funnel, never));
  return { all, broken, funnel, lines: renderFunnel(funnel).trimEnd().split("\n") };
}

it("counts every row and every step, and tells of broken rows", async () => {
  const { all, broken, funnel, lines } = await prepared([
    session("one", human("alone")),
    session("names", human("hi"), gpt("I am ChatGPT")),
    "{",
    session("kept", human("hi\r\nthere"), gpt("yes")),
    session("copy", human("hi\nthere"), gpt("yes")),
    session("accent", human("hi"), gpt("voilà")),
    session("asked", human("Translate it"), gpt("voilà")),
    session("limit", human("hi"), gpt("a"), human("b"), gpt("Too many requests in 1 hour. Try again later.")),
    session("empty", human("hi"), gpt("a"), human("c"), gpt(" ")),
    session("twice", human("a"), human("b"), gpt("c")),
    session("alpaca", human("")),
  ]);
  expect(all.map(({ id }) => id)).toEqual(["kept", "asked", "limit", "empty", "twice"]);
  expect(all.map(textOf)[4]).toBe("user: a\n\nb | assistant: c");
  expect(broken).toEqual(["3: is not JSON."]);
  expect(lines).toEqual([
    "step                                      left  dropped",
    "rows read                          10 sessions        1  1 broken",
    "line-ends                          10 sessions        0  1 changed",
    "one-utterance                       8 sessions        2  20.00 %",
    "mentions                            7 sessions        1  12.50 %",
    "html-to-markdown                    7 sessions        0",
    "rate-limit                          7 sessions        0  1 changed",
    "empty-message                       7 sessions        0  1 changed",
    "repeated-speaker                    7 sessions        0  1 changed",
    "language-characters                 6 sessions        1  14.29 %, 1 exempt",
    "one-utterance-segment  6 segments / 6 sessions        0",
    "exact-duplicates       5 segments / 5 sessions        1  16.67 %",
    "result                 5 segments / 5 sessions           5 start with the user, 0 with the assistant; 0 held out",
  ]);
  expect(funnel.toJson()).toMatchObject({ rows: { read: 11, broken: 1 }, result: { segments: 5, utterances: 12 } });
});

it("splits at the window of the model whose tokens count, and names segments by where they start", async () => {
  const turns = [human(long("a")), gpt(long("b")), human(long("c")), gpt(long("d")), human("more?")];
  const { all, funnel } = await prepared([session("s", ...turns)], "--model", "usergpt", "--max-tokens", "1000");
  expect(all.map(({ id, group }) => [id, group])).toEqual([
    ["s_0", "s"],
    ["s_2", "s"],
  ]);
  expect(funnel.split).toMatchObject({ sessionsIn: 1, segments: 2, leftOutTurns: 1, overlongSegments: 0 });
  const paper = await prepared(
    [session("s", ...turns)],
    "--model",
    "usergpt",
    "--max-tokens",
    "1000",
    "--split",
    "paper",
  );
  expect(paper.all.map(({ id }) => id)).toEqual(["s_0", "s_1"]);
  expect(paper.all[1]?.utterances.map(({ isContext }) => isContext)).toEqual([true, undefined, undefined]);
  expect(paper.funnel.split).toMatchObject({ segments: 3, overlongSegments: 1 });
});

it("leaves self-play dialogues as they are unless rules are named", async () => {
  const record = JSON.stringify({
    id: "d",
    object: "selfplay.dialogue",
    messages: [
      { role: "user", content: "I am ChatGPT" },
      { role: "assistant", content: "voilà" },
    ],
    stop_reason: "max_turns",
    trace: [
      { role: "user", cause: "end_token" },
      { role: "assistant", cause: "end_token" },
    ],
  });
  expect((await prepared([record])).all).toHaveLength(1);
  expect((await prepared([record], "--clean", "paper")).all).toHaveLength(0);
  expect((await prepared([record], "--keep-rule", "mentions")).all).toHaveLength(0);
});

it("holds out whole groups, the same ones in every run, by the seed", async () => {
  const rows = Array.from({ length: 400 }, (_, index) =>
    [0, 5].map((start) => session(`${String(index).padStart(7, "A")}_${start}`, human(`${index} ${start}`), gpt("a"))),
  ).flat();
  const { all, funnel } = await prepared(rows, "--holdout", "0.1");
  const byGroup = Map.groupBy(all, ({ group }) => group);
  expect(byGroup.size).toBe(400);
  for (const members of byGroup.values()) expect(new Set(members.map(({ isHeldOut }) => isHeldOut)).size).toBe(1);
  expect(funnel.result.heldOut / 800).toBeGreaterThan(0.06);
  expect(funnel.result.heldOut / 800).toBeLessThan(0.14);
  const again = await prepared(rows.toReversed(), "--holdout", "0.1");
  const ids = (side: typeof all) => side.flatMap(({ id, isHeldOut }) => (isHeldOut ? [id] : [])).toSorted();
  expect(ids(again.all)).toEqual(ids(all));
  expect(ids((await prepared(rows, "--holdout", "0.1", "--seed", "1")).all)).not.toEqual(ids(all));
  expect(isGroupHeldOut("any", { holdout: 0, seed: 1 })).toBe(false);
});

it("stops at the limit and says so", async () => {
  const rows = ["a", "b", "c"].map((id) => session(id, human(id), gpt("x")));
  const { all, funnel } = await prepared(rows, "--limit", "2");
  expect([all.length, funnel.isLimited, funnel.result.segments]).toEqual([2, true, 2]);
  expect((await prepared(rows, "--limit", "3")).funnel.isLimited).toBe(false);
});

it.each([
  [["--clean", "spelling"], /^--clean must be one of line-ends, one-utterance, /],
  [["--drop-rule", "x"], /^--drop-rule must be one of /],
  [["--language", "english"], /^--language must be characters, any or a code of three letters, found "english"$/],
  [["--holdout", "1"], /^--holdout must be a number from 0 to below 1, found "1"$/],
  [["--limit", "0"], /^--limit must be a positive integer, found "0"$/],
  [["--max-tokens", "5"], /^--max-tokens needs --model, whose tokens are counted$/],
  [["--model", "nobody"], /^--model names no model folder: neither nobody nor models\/nobody$/],
  [["--split", "half"], /^--split must be one of fit, paper, none, found "half"$/],
  [["--format", "csv"], /^--format must be one of sharegpt, /],
  [["--url", "u", "--data", "d"], /^--data and --url exclude each other$/],
])("%o is refused in one sentence", (args, sentence) => {
  const { values } = parseArgs({ args, options: PREPARE_FLAGS });
  expect(() => toPrepareOptions(values, () => {})).toThrow(sentence);
});

function rules(...args: readonly string[]) {
  const { values } = parseArgs({ args: [...args], options: PREPARE_FLAGS });
  return [...toPrepareOptions(values, () => {}).rules].filter((name) => name.startsWith("language"));
}

it("puts the statistical rule in the place of the characters where a language is named", () => {
  expect(rules()).toEqual(["language-characters"]);
  expect(rules("--language", "deu")).toEqual(["language-statistical"]);
  expect(rules("--language", "any")).toEqual([]);
  expect(rules("--clean", "none", "--language", "deu")).toEqual([]);
});
