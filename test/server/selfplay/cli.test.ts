// `npm run selfplay` as a process: what it prints, where, and how it ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const program = new URL("../../../server/selfplay/cli.ts", import.meta.url).pathname;

/** Runs the program to its end, or presses Ctrl-C once it has said that much. */
async function run(argv: readonly string[], lettersUntilInterrupt = Number.POSITIVE_INFINITY): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const before = out.length;
    out += chunk.toString();
    if (before < lettersUntilInterrupt && out.length >= lettersUntilInterrupt) child.kill("SIGINT");
  });
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

test("a dialogue is shown as it comes, and the last line sums it up", async () => {
  const { code, out, err } = await run(["--seed", "3", "--max-turns", "2"]);
  const lines = out.trimEnd().split("\n");
  expect([code, err]).toEqual([0, ""]);
  expect(lines.slice(0, 4).map((line) => line.slice(0, 11).trim())).toEqual(["user", "assistant", "user", "assistant"]);
  expect(lines.at(-1)).toMatch(/^max_turns · 2 turns · \d+ tokens in \d+\.\d s · \d+\.\d tokens\/s · seed 3$/);
});

test("without a terminal there are no colours; with --json there is one line and nothing else", async () => {
  const live = await run(["--seed", "3", "--max-turns", "1"]);
  expect(live.out).not.toContain("\u001b");
  const { code, out } = await run(["--seed", "3", "--max-turns", "1", "--json", "--format", "sharegpt"]);
  expect(code).toBe(0);
  expect(out.trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(out)).toMatchObject({ object: "selfplay.dialogue", stop_reason: "max_turns", turns: 1, seed: 3 });
  expect(JSON.parse(out)).toHaveProperty("conversations.1.from", "gpt");
});

test("Ctrl-C ends the dialogue, not the sentence: the last line still comes", async () => {
  const { code, out, err } = await run(["--seed", "1", "--temperature", "2"], 60);
  expect([code, err]).toEqual([130, ""]);
  expect(out.trimEnd().split("\n").at(-1)).toMatch(/^cancelled · \d+ turns? · /);
});

test("a running gateway is played on through its stream", async () => {
  const dialogue = { object: "selfplay.dialogue", stop_reason: "window", turns: 0, seed: 5 };
  const server = createServer((_, response) => response.end(`data: ${JSON.stringify(dialogue)}\n\ndata: [DONE]\n\n`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { code, out } = await run(["--url", `http://127.0.0.1:${port}`]);
  server.close();
  expect([code, out]).toEqual([0, "\nwindow · 0 turns · 0 tokens in 0.0 s · seed 5\n"]);
});

test.each([
  [["--turns", "3"], 2, /^Unknown option '--turns'\. --help lists every option\.\n$/],
  [["--temperature", "3"], 2, /^Invalid 'sampling\.user\.temperature': .* but got 3 instead\.\n$/],
  [["--user", "nobody"], 2, /^The model `nobody` does not exist/],
  [["--url", "http://127.0.0.1:1"], 1, /^http:\/\/127\.0\.0\.1:1 cannot be reached: .*\n$/],
])("%j fails with code %i and one sentence", async (argv, code, says) => {
  const outcome = await run(argv);
  expect([outcome.code, outcome.out]).toEqual([code, ""]);
  expect(outcome.err).toMatch(says);
});

test("help needs no models", async () => {
  const { code, out } = await run(["--help"]);
  expect([code, out.split("\n")[0]]).toEqual([0, "Usage: npm run selfplay -- [options]"]);
});
