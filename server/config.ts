// Owns every setting of the server: read once as flags > environment > JSON file > defaults.
// The only reader of process.env. It does not know what the settings are used for, and checks no folder or device.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type ConfigOption, configOptions } from "./config-options.ts";
import { readUpstreams, UpstreamConfigError, type UpstreamSettings } from "./upstream/upstream-config.ts";

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Folders whose subfolders with a manifest are served. Absolute. */
  readonly modelRoots: readonly string[];
  /** Single model folders served besides those. Absolute. */
  readonly modelFolders: readonly string[];
  /** Time between two looks through those folders while the server runs; 0 never looks again. */
  readonly rescanS: number;
  readonly device: "cpu" | "cuda" | "webgpu" | "auto";
  /** null means as many as the machine has cores. */
  readonly threads: number | null;
  readonly spin: "on" | "off";
  /** null means the library inside the onnxruntime-node package. */
  readonly ortLibrary: string | null;
  readonly slotsPerModel: number;
  readonly prefillChunkTokens: number;
  /** Most tokens of a model's context window that are used; null means all of it. */
  readonly contextWindowCap: number | null;
  /** Pad a lone decode row to two, so that an answer does not depend on its neighbours; auto follows the manifest. */
  readonly batchInvariant: "auto" | "on" | "off";
  /** Where the embedded database lies. Absolute. */
  readonly dataFolder: string;
  /** The only folder from which requests may name files of seeds; null allows none. Absolute. */
  readonly seedFolder: string | null;
  /** A PostgreSQL server to store in instead; null means the data folder. */
  readonly databaseUrl: string | null;
  /** Time after which a gateway that no longer answers loses its dialogues to others. */
  readonly leaseS: number;
  readonly maxQueuedRequests: number;
  readonly maxQueuedTokens: number;
  readonly maxChoices: number;
  readonly apiKeys: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly maxBodyBytes: number;
  readonly maxFileBytes: number;
  /** Who trains fine-tuning jobs. */
  readonly tuningRecipe: "onnx" | "pytorch";
  readonly drainTimeoutS: number;
  /** 0 switches keep-alive comments off. */
  readonly sseKeepAliveS: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** Endpoints elsewhere that are served as models. In the file alone, their keys in the environment alone. */
  readonly upstreams: readonly UpstreamSettings[];
}

/** A setting that cannot be used; the message is one sentence for the person who gave it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

type Values = Map<keyof Config, unknown>;

/** Reads every setting and freezes it. Throws ConfigError with one sentence that names the setting and its source. */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Config {
  const flags = readFlags(argv);
  const file = flags.get("config")?.at(-1) ?? emptyAsAbsent(env["REALCHAT_CONFIG"]);
  const values: Values = new Map(configOptions.map((option) => [option.key, option.fallback]));
  values.set("upstreams", []);
  if (file !== undefined) readFile(resolve(file), values, env);
  for (const option of configOptions) {
    const text = emptyAsAbsent(env[option.env]);
    if (text !== undefined) {
      const given = isList(option)
        ? text
            .split(",")
            .map((part) => part.trim())
            .filter(Boolean)
        : fromText(option, text);
      values.set(option.key, check(option, given, option.env, "from the environment", process.cwd()));
    }
    const flag = option.flag === null ? undefined : flags.get(option.flag);
    if (flag !== undefined) {
      const given = isList(option) ? flag : fromText(option, flag.at(-1) ?? "");
      values.set(option.key, check(option, given, `--${option.flag}`, "from the command line", process.cwd()));
    }
  }
  const config = Object.fromEntries(values) as unknown as Config;
  for (const value of Object.values(config)) Object.freeze(value);
  return Object.freeze(config);
}

function readFlags(argv: readonly string[]): Map<string, string[]> {
  const options: Record<string, { type: "string"; multiple: true }> = { config: { type: "string", multiple: true } };
  for (const { flag } of configOptions) if (flag !== null) options[flag] = { type: "string", multiple: true };
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false });
    return new Map(Object.entries(values).flatMap(([name, given]) => (given === undefined ? [] : [[name, given]])));
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(". ")[0]?.replace(/\s+/g, " ") : String(error);
    throw new ConfigError(`${reason} (from the command line); --help lists every option.`);
  }
}

function readFile(path: string, values: Values, env: NodeJS.ProcessEnv): void {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`The configuration file ${path} cannot be read: ${reason}.`, { cause: error });
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new ConfigError(`The configuration file ${path} must hold one JSON object.`);
  }
  for (const [key, value] of Object.entries(content)) {
    if (key === "upstreams") {
      values.set(key, checkUpstreams(value, path, env));
      continue;
    }
    const option = configOptions.find((candidate) => candidate.key === key);
    if (option === undefined) throw new ConfigError(`The configuration file ${path} has an unknown setting "${key}".`);
    if (option.flag === null) {
      throw new ConfigError(
        `"${key}" may not stand in the configuration file ${path}: it is read from ${option.env} alone.`,
      );
    }
    const given = isList(option) && typeof value === "string" ? [value] : value;
    values.set(option.key, check(option, given, `"${key}"`, `from ${path}`, dirname(path)));
  }
}

function checkUpstreams(given: unknown, path: string, env: NodeJS.ProcessEnv): readonly UpstreamSettings[] {
  try {
    return readUpstreams(given, env);
  } catch (error) {
    if (!(error instanceof UpstreamConfigError)) throw error;
    throw new ConfigError(`${error.message.replace(/\.$/, "")} (from ${path}).`, { cause: error });
  }
}

function check(option: ConfigOption, given: unknown, name: string, source: string, folder: string): unknown {
  const result = option.schema.safeParse(given);
  if (!result.success) {
    // A key that does not fit is still a secret.
    const shown = option.flag === null ? "what was given" : JSON.stringify(given);
    throw new ConfigError(`${name} must be ${option.expects}, not ${shown} (${source}).`);
  }
  if (option.kind === "paths") return (result.data as string[]).map((path) => resolve(folder, path));
  if (option.kind === "path" && result.data !== null) return resolve(folder, result.data as string);
  return result.data;
}

const isList = (option: ConfigOption) => option.kind === "list" || option.kind === "paths";

const fromText = (option: ConfigOption, text: string) =>
  option.kind === "integer" && /^[+-]?\d{1,15}$/.test(text) ? Number(text) : text;

const emptyAsAbsent = (text: string | undefined) => (text === undefined || text === "" ? undefined : text);
