import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";

// The Dockerfile's steps, carried out by hand where there may be no container engine.
const root = join(import.meta.dirname, "..", "..");
const workdir = "/app";

interface Step {
  /** Name of the stage it belongs to; the last has the name of its base. */
  readonly stage: string;
  readonly name: string;
  readonly value: string;
}

function readSteps(): Step[] {
  const text = readFileSync(join(root, "Dockerfile"), "utf8")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "");
  const steps: Step[] = [];
  let stage = "";
  for (const line of text.split("\n").filter(Boolean)) {
    const [, name = "", value = ""] = /^(\w+) (.*)$/.exec(line) ?? [];
    if (name === "FROM") stage = / AS (\S+)$/.exec(value)?.[1] ?? value;
    steps.push({ stage, name, value });
  }
  return steps;
}

function valuesOf(steps: readonly Step[], stage: string, name: string): string[] {
  return steps.filter((step) => step.stage === stage && step.name === name).map(({ value }) => value);
}

/** What the build context holds. */
function copyContext(folder: string): void {
  const lines = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
  expect(lines).toContain("*");
  for (const line of lines.filter((entry) => entry.startsWith("!"))) {
    const name = line.slice(1);
    if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

it("the image's steps give a server on production dependencies alone, run by another user", async () => {
  const steps = readSteps();
  const folder = mkdtempSync(join(tmpdir(), "realchat-image-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  copyContext(folder);
  for (const command of valuesOf(steps, "dependencies", "RUN")) {
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { cwd: folder, encoding: "utf8" });
    expect({ status, output: `${stdout}${stderr}` }).toEqual({ status: 0, output: expect.any(String) });
  }
  expect(existsSync(join(folder, "node_modules", "vitest"))).toBe(false);

  const env: Record<string, string> = { PATH: "/usr/bin:/bin" };
  for (const stage of ["cpu", "${DEVICE}"]) {
    for (const pair of valuesOf(steps, stage, "ENV").flatMap((value) => value.split(" "))) {
      const [name = "", value = ""] = pair.split(/=(.*)/s);
      env[name] = value.replace("$PATH", env["PATH"] ?? "").replaceAll(workdir, folder);
    }
  }
  const inside = { ...env, REALCHAT_PORT: String(await freePort()) };
  // Only root may become somebody else.
  const user = Number(valuesOf(steps, "${DEVICE}", "USER")[0]);
  const identity = process.getuid?.() === 0 ? { uid: user, gid: user } : {};
  const start = (command: string): ChildProcess => {
    const [program = "", ...args] = JSON.parse(command) as string[];
    return spawn(program, args, { cwd: folder, env: inside, stdio: ["ignore", "inherit", "inherit"], ...identity });
  };

  const [command = ""] = valuesOf(steps, "${DEVICE}", "CMD");
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { start: string } };
  expect((JSON.parse(command) as string[]).join(" ")).toBe(scripts.start);
  const server = start(command);
  onTestFinished(() => void server.kill("SIGKILL"));
  const [health = ""] = valuesOf(steps, "${DEVICE}", "HEALTHCHECK").map((value) =>
    value.slice(value.indexOf("CMD ") + 4),
  );
  const isHealthy = async () => {
    const [code] = (await once(start(health), "exit")) as [number | null];
    return code === 0;
  };
  const deadlineMs = performance.now() + 30_000;
  while (!(await isHealthy())) {
    expect({ exitCode: server.exitCode, isInTime: performance.now() < deadlineMs }).toEqual({
      exitCode: null,
      isInTime: true,
    });
    await sleep(100);
  }

  const response = await fetch(`http://127.0.0.1:${inside.REALCHAT_PORT}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "realm", messages: [{ role: "user", content: "Hello" }] }),
  });
  expect(response.status).toBe(200);
  const exit = once(server, "exit");
  server.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
  expect(await isHealthy()).toBe(false);
});
