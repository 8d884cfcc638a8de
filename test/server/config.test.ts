import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { configTable, helpText } from "../../server/config-help.ts";
import { configOptions } from "../../server/config-options.ts";
import { ConfigError, readConfig } from "../../server/config.ts";

const folder = mkdtempSync(join(tmpdir(), "realchat-config-"));

/** A configuration file of this content. */
function file(content: unknown, name = "config.json"): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function sentence(argv: readonly string[], env: Record<string, string> = {}): string {
  try {
    readConfig(argv, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("the order of sources", () => {
  it("is flags, then environment, then file, then defaults", () => {
    const path = file({ port: 1001, slotsPerModel: 2, device: "cpu" });
    const env = { REALCHAT_CONFIG: path, REALCHAT_PORT: "1002", REALCHAT_SLOTS: "3" };
    expect(readConfig(["--port", "1003"], env)).toMatchObject({
      port: 1003,
      slotsPerModel: 3,
      device: "cpu",
      threads: null,
    });
  });

  it("an empty variable counts as absent", () => {
    expect(readConfig([], { REALCHAT_PORT: "", REALCHAT_CONFIG: "" }).port).toBe(8080);
  });

  it("--config wins over REALCHAT_CONFIG", () => {
    const env = { REALCHAT_CONFIG: file({ port: 1 }, "env.json") };
    expect(readConfig(["--config", file({ port: 2 }, "flag.json")], env).port).toBe(2);
  });
});

describe("values", () => {
  it("every option's default satisfies its own rule", () => {
    for (const { key, schema, fallback } of configOptions)
      expect({ key, ok: schema.safeParse(fallback).success }).toEqual({ key, ok: true });
  });

  it("every option is read under its flag, its variable and its key", () => {
    const samples: Record<string, string> = { integer: "17", text: "off", list: "*", path: "/x", paths: "/x" };
    const own: Record<string, string> = { maxBodyBytes: "2048", databaseUrl: "postgresql://user@host/database" };
    for (const option of configOptions) {
      const words = /^one of (\w+)/.exec(option.expects);
      const text = own[option.key] ?? words?.[1] ?? samples[option.kind] ?? "";
      const fromEnv = readConfig([], { [option.env]: text })[option.key];
      expect(fromEnv).toEqual(
        option.kind === "list" || option.kind === "paths" ? [text] : option.kind === "integer" ? Number(text) : text,
      );
      if (option.flag === null) continue;
      expect(readConfig([`--${option.flag}`, text], {})[option.key]).toEqual(fromEnv);
      expect(readConfig(["--config", file({ [option.key]: fromEnv })], {})[option.key]).toEqual(fromEnv);
    }
  });

  it("words stand for null", () => {
    expect(readConfig(["--threads", "auto", "--context-window", "model"], {})).toMatchObject({
      threads: null,
      contextWindowCap: null,
    });
    expect(readConfig(["--config", file({ threads: null })], {}).threads).toBeNull();
  });

  it("lists are repeated flags, comma-separated variables, or JSON arrays", () => {
    const origins = ["https://a.example", "https://b.example"];
    expect(readConfig(["--cors-origin", origins[0] ?? "", "--cors-origin", origins[1] ?? ""], {}).corsOrigins).toEqual(
      origins,
    );
    expect(readConfig([], { REALCHAT_CORS_ORIGINS: ` ${origins.join(" , ")},` }).corsOrigins).toEqual(origins);
    expect(readConfig(["--config", file({ corsOrigins: origins })], {}).corsOrigins).toEqual(origins);
  });

  it("a flag replaces a list, it does not add to it", () => {
    expect(readConfig(["--model", "/b"], { REALCHAT_MODEL: "/a" }).modelFolders).toEqual(["/b"]);
  });

  it("paths are relative to the working folder, in a file to the file's own", () => {
    expect(readConfig(["--model", "m"], {}).modelFolders).toEqual([resolve("m")]);
    expect(readConfig(["--config", file({ modelFolders: ["m"], modelRoots: [] })], {})).toMatchObject({
      modelFolders: [join(folder, "m")],
      modelRoots: [],
    });
  });

  it("the result cannot be changed", () => {
    const config = readConfig([], {});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.modelRoots)).toBe(true);
  });
});

describe("a value that cannot be used is one sentence with the option, the rule, the value and the source", () => {
  it.each<[string[], Record<string, string>, string]>([
    [["--port", "http"], {}, `--port must be a whole number from 0 to 65535, not "http" (from the command line).`],
    [["--port", "65536"], {}, `--port must be a whole number from 0 to 65535, not 65536 (from the command line).`],
    [["--port", "80.5"], {}, `--port must be a whole number from 0 to 65535, not "80.5" (from the command line).`],
    [["--port=-1"], {}, `--port must be a whole number from 0 to 65535, not -1 (from the command line).`],
    [
      [],
      { REALCHAT_DEVICE: "gpu" },
      `REALCHAT_DEVICE must be one of cpu, cuda, webgpu, auto, not "gpu" (from the environment).`,
    ],
    [
      [],
      { REALCHAT_CORS_ORIGINS: "example.org" },
      `REALCHAT_CORS_ORIGINS must be an origin such as https://example.org, or *, not ["example.org"] (from the environment).`,
    ],
    [["--prot", "1"], {}, `Unknown option '--prot' (from the command line); --help lists every option.`],
    [["serve"], {}, `Unexpected argument 'serve' (from the command line); --help lists every option.`],
    [["--api-keys", "secret"], {}, `Unknown option '--api-keys' (from the command line); --help lists every option.`],
  ])("%j %j", (argv, env, expected) => {
    expect(sentence(argv, env)).toBe(expected);
  });

  it("a flag without its value says so", () => {
    expect(sentence(["--port"])).toMatch(/--port.*argument missing \(from the command line\)/);
  });

  it("a key that cannot be used is not shown", () => {
    const message = sentence([], { REALCHAT_API_KEYS: "good,with space" });
    expect(message).toMatch(/^REALCHAT_API_KEYS must be keys of printable characters/);
    expect(message).not.toContain("with space");
  });

  it("files name themselves", () => {
    const path = file({ port: "8080" });
    expect(sentence(["--config", path])).toBe(
      `"port" must be a whole number from 0 to 65535, not "8080" (from ${path}).`,
    );
    expect(sentence(["--config", file({ prot: 1 })])).toMatch(
      /^The configuration file .*config\.json has an unknown setting "prot"\.$/,
    );
    expect(sentence(["--config", file({ apiKeys: ["k"] })])).toMatch(
      /^"apiKeys" may not stand in .*REALCHAT_API_KEYS alone\.$/,
    );
    expect(sentence(["--config", file("{")])).toMatch(/^The configuration file .*config\.json cannot be read: /);
    expect(sentence(["--config", file("[]")])).toMatch(/must hold one JSON object\.$/);
    expect(sentence(["--config", join(folder, "none.json")])).toMatch(/none\.json cannot be read: .*no such file/);
    expect(sentence(["--config", file(`{"__proto__": {"port": 1}}`)])).toMatch(/unknown setting "__proto__"/);
  });
});

describe("what people read", () => {
  it("help names every flag with its default, and keys as environment only", () => {
    const text = helpText();
    for (const { flag } of configOptions) expect(text).toContain(flag === null ? "REALCHAT_API_KEYS" : `  --${flag} `);
    expect(text).not.toContain("--api-keys");
    expect(text).toMatch(/--port NUMBER +Port to listen on.*\[8080\]/);
  });

  it("the table has one row per option, with its flag, its variable and its default", () => {
    const rows = configTable().split("\n").slice(2);
    expect(rows).toHaveLength(configOptions.length);
    expect(rows).toContain("| `--port` | `REALCHAT_PORT` | `port` | `8080` | Port to listen on; 0 takes a free one. |");
    expect(new Set(rows.map((row) => row.split(" | ").length))).toEqual(new Set([5]));
  });
});
