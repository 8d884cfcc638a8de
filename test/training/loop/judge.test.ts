// A judge's word on a trained assistant: asked of both orders, kept so that a run that was broken off asks nothing twice, and heard by
// the gate.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { judgeCandidate } from "../../../training/loop/gate.ts";
import type { JudgedAnswers } from "../../../training/loop/judge-answers.ts";
import { runLoop } from "../../../training/loop/loop.ts";
import { parseLoopArguments } from "../../../training/loop/options.ts";
import { verifyRun } from "../../../training/loop/verify.ts";
import { tinyLoop } from "../../support/loop-run.ts";

let folder: string;
let server: Server;
const asked: string[] = [];
const keys = new Set<string | undefined>();
/** What the judge says to the question with this number. */
let verdict: (index: number) => string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "loop-judge-"));
  server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      keys.add(request.headers.authorization);
      asked.push(body);
      const message = { role: "assistant", content: verdict(asked.length) };
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          id: "c",
          object: "chat.completion",
          created: 1,
          model: "judge",
          choices: [{ index: 0, message, finish_reason: "stop" }],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

test("both answer what people asked first, in both orders, and a killed run asks nothing twice", async () => {
  const { port } = server.address() as AddressInfo;
  const args = await tinyLoop(folder, "--role=assistant", "--gate=any", "--judge=judge-model", "--judge-questions=3");
  const loop = async (more: readonly string[], breakAt: string | null) => {
    const command = parseLoopArguments([...args, `--judge-url=http://127.0.0.1:${port}/v1`, ...more]);
    if (command.kind !== "loop") throw new Error(command.kind);
    const hooks = {
      environment: { PATH: process.env["PATH"], REALCHAT_JUDGE_KEY: "sk-judge" },
      onNote: () => {},
      onProgress: () => {},
      onStep: (name: string, moment: string) => {
        if (`${name} ${moment}` === breakAt) throw new Error("broken off");
      },
    };
    return runLoop(command.options, hooks, new AbortController().signal);
  };
  verdict = () => "The first is better. [[A]]";
  await expect(loop([], "judge-assistant made")).rejects.toThrow("broken off");
  expect(asked).toHaveLength(6);
  const [record] = await loop(["--resume"], null);
  expect(asked).toHaveLength(6);
  expect([...keys]).toEqual(["Bearer sk-judge"]);
  expect(asked[0]).toContain("I need a table for two.");

  const run = join(folder, "run");
  const found = JSON.parse(await readFile(join(run, "rounds/1/judged-assistant.json"), "utf8")) as JudgedAnswers;
  expect(found).toMatchObject({ judge: "judge-model", model: "ft:realm:loop-1", parent: "realm" });
  // Whoever stands first wins: that is no preference.
  expect(found.tally).toEqual({ win: 0, tie: 3, loss: 0, dropped: 0, adjustedWinRate: 0.5 });
  expect(found.questions[0]).toMatchObject({ question: "I need a table for two.", winners: ["model_1", "model_2"] });
  expect(record?.steps["judge-assistant"]?.facts).toMatchObject({ tie: 3 });
  expect(await readFile(join(run, "rounds/1/report.md"), "utf8")).toContain(
    "passed: judge: judge-model preferred it 0 times and its parent 0 times, with 3 ties",
  );
  const { problems } = await verifyRun(run, join(run, "models"), new AbortController().signal);
  expect(problems).toEqual([]);
});

test.each([
  ["prefers the child", { win: 9, tie: 1, loss: 2, dropped: 0 }, true],
  ["prefers neither", { win: 5, tie: 0, loss: 6, dropped: 0 }, true],
  ["prefers the parent, and that is certain", { win: 1, tie: 1, loss: 12, dropped: 0 }, false],
  ["cannot be read", { win: 0, tie: 0, loss: 0, dropped: 9 }, false],
] as const)("under not-worse, a judge that %s decides accordingly", (_, counts, isAccepted) => {
  const { win, tie, loss } = counts;
  const all = win + tie + loss;
  const tally = { ...counts, adjustedWinRate: all === 0 ? null : (win + tie / 2) / all };
  const gain = { value: 0.1, low: 0.05, high: 0.15 };
  const comparison = { dialogues: 50, unpaired: 0, turns: 50, bytes: 1, model: gain, against: gain, difference: gain, betterDialogues: 50 }; // prettier-ignore
  const figures = { failure: null, comparison, judged: { judge: "j", tally } };
  const gate = { margin: 0.01, leastPairs: 20 };
  expect(judgeCandidate(figures, { ...gate, rule: "not-worse" }).isAccepted).toBe(isAccepted);
  expect(judgeCandidate(figures, { ...gate, rule: "any" }).isAccepted).toBe(true);
});

test("settings of a judge without one are refused", () => {
  const args = ["--rounds=1", "--count=1", "--heldout=x"];
  expect(() => parseLoopArguments([...args, "--judge-questions=3"])).toThrow("--judge-questions needs --judge");
  expect(() => parseLoopArguments([...args, "--judge-url=http://x"])).toThrow("--judge-url needs --judge");
});
