// The command line: what flags mean, one sentence for each bad one, exit codes, and an interrupt that cleans up.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { IMPORT_HELP, parseImportArguments } from "../../../runtime/importer/cli-options.ts";
import {
  copyOf,
  editJson,
  float32Tensor,
  readSafetensors,
  recordedFolder,
  safetensorsBytes,
  scratchFolder,
} from "../../support/checkpoints.ts";

const now = new Date("2026-05-06T07:08:09Z");
const needed = ["folder", "--id", "a", "--role", "user"];
const parse = (...args: string[]) => parseImportArguments(args, now);

describe("parseImportArguments", () => {
  test("fills in what was not said", () => {
    expect(parse(...needed)).toEqual({
      kind: "import",
      options: {
        source: "folder",
        id: "a",
        role: "user",
        precision: "int8",
        headPrecision: null,
        blockSize: 32,
        kvPrecision: null,
        accuracyLevel: null,
        contextWindow: null,
        endOfConversation: null,
        responseRole: null,
        isBatchInvariant: false,
        isDithered: false,
        licence: "unknown",
        provenance: "",
        baseModel: null,
        createdAt: now,
        outFolder: "models",
        isReplacing: false,
      },
    });
  });

  test("reads every flag", () => {
    const flags =
      "--precision int4 --head-precision int8 --block-size 64 --kv float16 --accuracy-level 0 --context 512";
    const more = "--end-of-conversation <bye> --response-role user --batch-invariant --licence MIT --source here";
    const rest = "--base-model b --created-at 2026-01-01T00:00:00Z --out elsewhere --force";
    expect(parse(...needed, ...`${flags} ${more} ${rest}`.split(" "))).toMatchObject({
      options: {
        precision: "int4",
        headPrecision: "int8",
        blockSize: 64,
        kvPrecision: "float16",
        accuracyLevel: 0,
        contextWindow: 512,
        endOfConversation: "<bye>",
        responseRole: "user",
        isBatchInvariant: true,
        licence: "MIT",
        provenance: "here",
        baseModel: "b",
        createdAt: new Date("2026-01-01T00:00:00Z"),
        outFolder: "elsewhere",
        isReplacing: true,
      },
    });
  });

  test.each<[string[], string]>([
    [[], "name the checkpoint folder to import"],
    [["folder"], "--id is needed"],
    [["folder", "--id", "a"], "--role is needed"],
    [["folder", "more", "--id", "a"], "one checkpoint folder at a time, found also more"],
    [["folder", "--id", "a", "--role", "system"], '--role must be one of user, assistant, found "system"'],
    [[...needed, "--precision", "int2"], '--precision must be one of float32, float16, int8, int4, found "int2"'],
    [[...needed, "--head-precision", "x"], '--head-precision must be one of float, int8, int4, found "x"'],
    [[...needed, "--block-size", "48"], '--block-size must be one of 16, 32, 64, 128, 256, found "48"'],
    [[...needed, "--kv", "int8"], '--kv must be one of float32, float16, found "int8"'],
    [[...needed, "--accuracy-level", "5"], '--accuracy-level must be one of 0, 1, 2, 3, 4, found "5"'],
    [[...needed, "--context", "-1"], "Option '--context' argument is ambiguous"],
    [[...needed, "--context", "1e3"], '--context must be a positive integer, found "1e3"'],
    [[...needed, "--context", "0"], '--context must be a positive integer, found "0"'],
    [[...needed, "--created-at", "yesterday"], '--created-at must be an ISO 8601 time, found "yesterday"'],
    [[...needed, "--speed"], "Unknown option '--speed'"],
    [[...needed, "--id"], "Option '--id <value>' argument missing"],
  ])("%j is refused in one sentence", (args, sentence) => {
    expect(parse(...args)).toEqual({ kind: "refused", sentence });
  });

  test("help names every flag", () => {
    expect(parse("--help")).toEqual({ kind: "help" });
    const refused = parse(...needed, "--speed");
    expect(refused.kind).toBe("refused");
    for (const flag of ["id", "role", "precision", "kv", "context", "force", "out", "created-at", "batch-invariant"]) {
      expect(IMPORT_HELP).toContain(`--${flag}`);
    }
  });
});

describe("npm run import", () => {
  const program = fileURLToPath(new URL("../../../runtime/importer/cli.ts", import.meta.url));
  const source = recordedFolder("llama3");

  async function run(args: readonly string[], interruptAt: string | null = null) {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let error = "";
    child.stdout.on("data", (data: Buffer) => (out += data.toString()));
    let isInterrupted = false;
    child.stderr.on("data", (data: Buffer) => {
      error += data.toString();
      if (interruptAt === null || isInterrupted || !error.includes(interruptAt)) return;
      isInterrupted = true;
      child.kill("SIGINT");
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, out, error };
  }

  test("writes the folder, shows progress on stderr and prints the path on stdout", async () => {
    const out = await scratchFolder();
    const result = await run([source, "--id", "tiny", "--role", "user", "--out", out]);
    expect(result).toMatchObject({ code: 0, out: `${join(out, "tiny")}\n` });
    expect(result.error).toContain("writing weights 100 %\n");
    expect(await readdir(out)).toEqual(["tiny"]);
    expect(await run([source, "--id", "tiny", "--role", "user", "--out", out])).toEqual({
      code: 2,
      out: "",
      error: `import: ${join(out, "tiny")} exists already; --force replaces it\n`,
    });
  });

  test("bad flags exit with 2, broken checkpoints with 1, each with one line", async () => {
    expect(await run(["--id"])).toMatchObject({
      code: 2,
      out: "",
      error: expect.stringMatching(/^import: .+\n$/) as string,
    });
    const empty = await scratchFolder();
    expect(await run([empty, "--id", "a", "--role", "user", "--out", empty])).toEqual({
      code: 1,
      out: "",
      error: `import: config.json: missing from ${empty}\n`,
    });
    expect(await run(["--help"])).toEqual({ code: 0, out: IMPORT_HELP, error: "" });
  });

  test("an interrupt exits with 130 and leaves nothing", async () => {
    const scratch = await scratchFolder();
    const large = await copyOf("smollm2", scratch, "large");
    const out = join(scratch, "out");
    const vocabSize = 200_000; // 25 MB: long enough to be interrupted
    const path = join(large, "model.safetensors");
    const embedding = float32Tensor([vocabSize, 32], new Float32Array(vocabSize * 32));
    const tensors = { ...readSafetensors(await readFile(path)), "model.embed_tokens.weight": embedding };
    await writeFile(path, safetensorsBytes(tensors));
    await editJson(join(large, "config.json"), { vocab_size: vocabSize });
    const result = await run([large, "--id", "tiny", "--role", "user", "--out", out], "reading checkpoint");
    expect(result).toMatchObject({ code: 130, out: "" });
    expect(result.error).toMatch(/\nimport: interrupted; nothing was left behind\n$/);
    expect(await readdir(out)).toEqual([]);
  });
});
