// Owns how the server speaks of itself: one JSON object per line on standard error.
// It never sees what people write to models: callers pass ids, counts and durations, no contents.
import type { Config } from "./config.ts";

type LogLevel = Exclude<Config["logLevel"], "silent">;
type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line per call, if its level is not below the configured one. */
export type Log = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>;

const severity: Record<Config["logLevel"], number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

const toStandardError = (line: string) => void process.stderr.write(`${line}\n`);

/** A log that drops what is below `level`. */
export function createLog(level: Config["logLevel"], write: (line: string) => void = toStandardError): Log {
  const at =
    (own: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (severity[own] < severity[level]) return;
      write(JSON.stringify({ time: new Date().toISOString(), level: own, message, ...fields }, showErrors));
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** JSON.stringify alone would write an error as `{}` and refuse a bigint. */
function showErrors(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return { name, message, stack, ...(cause instanceof Error ? { cause } : {}) };
}
