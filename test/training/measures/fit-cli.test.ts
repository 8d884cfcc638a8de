import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readHumanLikeness } from "../../../training/measures/human-likeness.ts";
import { readQuestions } from "../../../training/measures/question-file.ts";

const cli = join(import.meta.dirname, "../../../training/measures/fit-cli.ts");
const run = (...flags: readonly string[]): Promise<{ stdout: string; stderr: string; code: number }> =>
  promisify(execFile)(process.execPath, [cli, ...flags]).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );

describe("questions are the user's turns", () => {
  it("of plain texts and of dialogues in both shapes, each with its source", () => {
    const lines = [
      { text: "why", source: "s" },
      {
        id: "d",
        messages: [
          { role: "user", content: "one" },
          { role: "assistant", content: "no" },
        ],
      },
      {
        conversations: [
          { from: "gpt", value: "no" },
          { from: "human", value: "two" },
        ],
      },
    ].map((line) => JSON.stringify(line));
    expect(readQuestions("file", `${lines.join("\n\n")}\n`, true)).toEqual([
      { text: "why", isHuman: true, source: "file#s" },
      { text: "one", isHuman: true, source: "file#d" },
      { text: "two", isHuman: true, source: "file#5" },
    ]);
  });

  it.each([["{"], ["1"], ['{"texts":"a"}'], ['{"messages":[{"role":"user"}]}']])(
    "%s is refused with its line",
    (line) => {
      expect(() => readQuestions("file", `{"text":"a"}\n${line}`, true)).toThrow(
        'file, line 2: needs "text", "messages" (role, content) or "conversations" (from, value).',
      );
    },
  );
});

const linesOf = (text: (index: number) => string): string =>
  Array.from({ length: 100 }, (_, index) => JSON.stringify({ text: text(index), source: `${index}` })).join("\n");

describe("the command", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "fit-"));
    await writeFile(join(folder, "human.jsonl.gz"), gzipSync(linesOf((index) => `hey how do i fix number ${index}`)));
    await writeFile(
      join(folder, "simulated.jsonl"),
      linesOf((index) => `Please explain the idea of ${index}.`),
    );
  });
  afterAll(() => rm(folder, { recursive: true }));
  const inputs = () => ["--human", join(folder, "human.jsonl.gz"), "--simulated", join(folder, "simulated.jsonl")];

  it("writes a model and prints its report as one line of JSON", async () => {
    const out = join(folder, "model.json");
    const { stdout, code } = await run(...inputs(), "--out", out, "--name", "mine");
    expect(code).toBe(0);
    const { report } = readHumanLikeness(JSON.parse(await readFile(out, "utf8")));
    expect(JSON.parse(stdout)).toEqual(report);
    expect(report).toMatchObject({ name: "mine", auc: 1 });
  });

  it("says what is missing, and what is wrong with a file", async () => {
    expect(await run("--human", "x")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--simulated and --out"),
    });
    expect(await run("--humans", "x")).toMatchObject({ code: 2, stderr: expect.stringContaining("--humans") });
    const bad = join(folder, "bad.jsonl");
    await writeFile(bad, '{"text":1}');
    const refused = await run(...inputs(), "--human", bad, "--out", join(folder, "none.json"));
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`${bad}, line 1: needs "text"`) });
    expect(await run("--help")).toMatchObject({ code: 0, stdout: expect.stringContaining("--simulated FILE") });
  });
});
