import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { welcome } from "../../server/welcome.ts";
import { scriptedCatalog } from "../support/app-harness.ts";
import { listen } from "../support/listening.ts";
import { scriptedModel } from "../support/scripted-model.ts";

type Server = ChildProcessByStdio<null, Readable, Readable>;

/** The real process. */
function start(...argv: string[]): Server {
  // A data folder of its own: what others left in the usual one would be opened, and logged.
  const env = { ...process.env, REALCHAT_DATA: join(tmpdir(), `realchat-main-${randomUUID()}`) };
  const child = spawn(process.execPath, ["server/main.ts", ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function finish(child: Server) {
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { out, err, code: code as number };
}

describe("the process", () => {
  it("prints its options and ends well on --help", async () => {
    const { out, err, code } = await finish(start("--help"));
    expect({ err, code }).toEqual({ err: "", code: 0 });
    expect(out).toContain("--port NUMBER");
  });

  it.each([
    [["--port", "x"], 2, /^--port must be a whole number from 0 to 65535, not "x" \(from the command line\)\.\n$/],
    [["--models", mkdtempSync(join(tmpdir(), "realchat-empty-"))], 1, /^There is no model to serve: .*\n$/],
  ] as const)("says in one sentence why it does not start with %j and exits with %i", async (argv, code, sentence) => {
    const result = await finish(start(...argv));
    expect(result).toEqual({ out: "", err: expect.stringMatching(sentence), code });
  });

  it("says that its port is taken", async () => {
    const { port } = await listen();
    const { err, code } = await finish(start("--port", String(port), "--log-level", "silent"));
    expect({ err, code }).toEqual({
      err: expect.stringMatching(/^Port \d+ on 127\.0\.0\.1 is in use: .*\n$/),
      code: 2,
    });
  });

  it.each(["SIGTERM", "SIGINT"] as const)("serves the embedded pair until %s, then ends well", async (signal) => {
    const child = start("--port", "0");
    const whole = finish(child);
    let out = "";
    child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
    await expect.poll(() => out, { timeout: 25_000 }).toMatch(/Stop with Ctrl\+C/);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] ?? "";
    expect(await (await fetch(`${url}/ready`)).json()).toMatchObject({ status: "ready" });
    child.kill(signal);
    const { err, code } = await whole;
    expect(code).toBe(0);
    const lines = err
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { message: string; level: string });
    const messages = ["serving", "serving", "listening", "request", "draining", "stopped"];
    expect(lines.map(({ message }) => message)).toEqual(messages);
    expect(lines[0]).toMatchObject({ id: expect.any(String), device: expect.any(String), ready: true });
  });
});

describe("the welcome", () => {
  const url = "http://127.0.0.1:8080";
  const pair = [scriptedModel(), scriptedModel({ info: { id: "usergpt", role: "user" } })];

  it("holds commands that work as they stand", () => {
    const shown = welcome(url, scriptedCatalog(pair), false);
    const bodies = [...shown.matchAll(/curl.* (http\S+) .*-d '(.*)'/g)].map(([, at, body]) => [
      at,
      JSON.parse(body ?? "") as object,
    ]);
    expect(bodies).toEqual([
      [`${url}/v1/chat/completions`, { model: "realm", messages: [{ role: "user", content: "Hello!" }] }],
      [`${url}/v1/chat/completions`, { model: "usergpt", messages: [], stream: true }],
      [`${url}/v1/selfplay/dialogues`, { max_turns: 3, stream: true }],
    ]);
  });

  it("shows where a key goes when one is needed", () => {
    const shown = welcome(url, scriptedCatalog(pair), true);
    expect(shown.match(/Authorization: Bearer \$KEY/g)).toHaveLength(3);
    expect(shown).toContain("apiKey: process.env.KEY");
  });
});
