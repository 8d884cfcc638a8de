import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readHumanLikeness } from "../../../training/measures/human-likeness.ts";
import { readLabelledQuestions, readQuestions } from "../../../training/measures/question-file.ts";

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

  it("with what they are about, and of a job by their dialogue's index, as its id is another in every run", () => {
    const id = `dlg_${"a0".repeat(16)}_7`;
    const line = JSON.stringify({ id, domain: "Buses", messages: [{ role: "user", content: "one" }] });
    expect(readQuestions("/some/file", line, false)).toEqual([
      { text: "one", isHuman: false, source: "file#7", subject: "Buses" },
    ]);
  });

  it("of rows that say who wrote them, replies left out", () => {
    const lines = [
      { text: "a", label: "human", role: "user" },
      { text: "b", label: "gpt" },
      { text: "c", label: "gpt", role: "assistant" },
      { messages: [{ role: "user", content: "d" }] },
    ].map((line) => JSON.stringify(line));
    const read = readLabelledQuestions("file", lines.join("\n"));
    expect(read.map(({ text, isHuman }) => [text, isHuman])).toEqual([
      ["a", true],
      ["b", false],
      ["d", true],
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

  it("measures itself on a simulator left out and on other questions, and keeps the figures, licence and origin", async () => {
    const other = join(folder, "other.jsonl");
    await writeFile(
      other,
      linesOf((index) => `Kindly describe, in short, ${index}.`),
    );
    const out = join(folder, "checked.json");
    const flags = ["--simulated", other, "--check", join(folder, "human.jsonl.gz"), "--licence", "L", "--origin", "O"];
    expect((await run(...inputs(), ...flags, "--out", out)).code).toBe(0);
    const file = JSON.parse(await readFile(out, "utf8")) as object;
    expect(file).toMatchObject({ licence: "L", origin: "O" });
    expect(file).toMatchObject({
      checks: [
        { name: "simulator left out: simulated.jsonl", auc: 1 },
        { name: "simulator left out: other.jsonl", auc: 1 },
        { name: "other questions: human.jsonl.gz", auc: 1, ceiling: 1, floor: 0 },
      ],
    });
    expect(readHumanLikeness(file).report.name).toBe(out);
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
