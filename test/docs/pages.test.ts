import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MODELS_FOLDER } from "../support/engine.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { anchors, fencedBlocks, links, readPages, root } from "./pages.ts";
import { readCommands, readCurl } from "./shell.ts";

const run = promisify(execFile);
const pages = readPages();
const readme = pages.find(({ file }) => file === "README.md") ?? { file: "README.md", text: "" };
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>;
};
const commands = pages.flatMap((page) =>
  fencedBlocks(page, "sh")
    .flatMap(readCommands)
    .map((words) => ({ file: page.file, words, title: `${page.file}: ${words.join(" ").replaceAll(/\s+/g, " ")}` })),
);
/** Where the documentation believes the server to be. */
const documented = "http://localhost:8080";

describe("every link leads somewhere:", () => {
  const all = pages.flatMap((page) => links(page).map((link) => ({ from: page.file, page, link })));
  it.each(all.filter(({ link }) => !link.includes("://")))("$from → $link", ({ page, link }) => {
    const [path = "", anchor] = link.split("#");
    const file = path === "" ? page.file : posix.normalize(posix.join(posix.dirname(page.file), path));
    expect([file].filter((name) => !existsSync(join(root, name)))).toEqual([]);
    const target = pages.find((candidate) => candidate.file === file);
    expect(anchor === undefined ? [undefined] : anchors(target ?? page)).toContain(anchor);
  });
});

it("the README's tree names what is there", () => {
  const tree = fencedBlocks(readme, "").find((block) => block.includes("server/ ")) ?? "";
  let folder = "";
  const paths = tree.split("\n").map((line) => {
    const [, indent = "", name = ""] = /^( *)(\S+)/.exec(line) ?? [];
    if (indent === "") folder = name;
    return indent === "" ? name : `${folder}${name}`;
  });
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it("files named in the documentation are there", () => {
  const named = pages
    .filter(({ file }) => file !== "CHANGELOG.md")
    .flatMap(({ file, text }) =>
      [...text.matchAll(/`((?:server|runtime|training|models|test|docs)\/[\w./-]+)`/g)].map((match) => ({
        file,
        path: match[1] ?? "",
      })),
    );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
});

it("every npm script in the documentation is one of package.json", () => {
  const used = commands.flatMap(({ words }) => {
    const [program, ...rest] = words.filter((word) => !word.startsWith("-"));
    return program === "npm" ? [rest[0] === "run" ? rest[1] : rest[0]] : [];
  });
  expect(used).toEqual(expect.arrayContaining(["ci", "start", "test", "selfplay", "import", "bench"]));
  expect(used.filter((name) => name !== "ci" && !(String(name) in scripts))).toEqual([]);
});

it("the quick start is one line to run and one to test", () => {
  const lines = fencedBlocks(readme, "sh");
  expect(lines[0]).toBe("npm ci && npm start");
  expect(lines).toContain("npm ci && npm test");
});

describe("what the documentation shows works on the real server:", () => {
  let server: ServerProcess;
  const toServer = (text: string) => text.replaceAll(documented, server.url);
  beforeAll(async () => {
    server = await startServerProcess();
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  it.each(commands.filter(({ words }) => words[0] === "curl"))("$title", async ({ words }) => {
    const { url, headers, body } = readCurl(words);
    expect(url.startsWith(documented)).toBe(true);
    const response = await fetch(toServer(url), {
      method: body === null ? "GET" : "POST",
      headers,
      ...(body === null ? {} : { body }),
    });
    const text = await response.text();
    expect({ status: response.status, text }).toEqual({ status: 200, text: expect.not.stringContaining('"error"') });
    const isStream = text.startsWith("data: ");
    expect(isStream ? text : `${text}\n\n`).toMatch(isStream ? /\ndata: \[DONE\]\n\n$/ : /^\{.*\}\n\n$/);
  });

  const dialogues = commands.filter(({ words }) => words[0] === "npm" && words.includes("selfplay"));
  it.each(dialogues)("$title", async ({ words }) => {
    const [, ...script] = (scripts["selfplay"] ?? "").split(" ");
    const flags = words.includes("--") ? words.slice(words.indexOf("--") + 1) : [];
    // The smaller pair does for the commands; others hold that the default one talks.
    const env = { ...process.env, REALCHAT_MODELS: MODELS_FOLDER };
    const { stdout } = await run(process.execPath, [...script, ...flags.map(toServer)], { cwd: root, env });
    expect(stdout).toMatch(/\w/);
  });

  // Behind the one that makes the data set they read.
  const training = commands.filter(
    ({ file, words }) => file === "README.md" && ["stats", "preview", "export", "evaluate"].includes(words[2] ?? ""),
  );
  it.each(training)("$title", async ({ words }) => {
    const [, ...script] = (scripts[words[2] ?? ""] ?? "").split(" ");
    const flags = words.slice(words.indexOf("--") + 1);
    const { stdout, stderr } = await run(
      process.execPath,
      [...script, ...flags, ...(words[2] === "export" ? ["--force"] : [])],
      {
        cwd: root,
      },
    );
    expect({ stdout, stderr }).toEqual({
      stdout: expect.stringMatching(/\w/),
      stderr: expect.not.stringMatching(/Error/),
    });
  });

  const programs = pages.flatMap((page) => fencedBlocks(page, "js").map((program) => ({ file: page.file, program })));
  it.each(programs)("a program of $file", async ({ program }) => {
    const code = toServer(program);
    expect(code).toContain(server.url);
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
    expect(stdout).toMatch(/\w/);
  });
});
