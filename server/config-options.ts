// Owns the table of every setting: where it may be given, what it accepts, its default and its meaning.
// Help text and the README's table are printed from it. It does not read anything: server/config.ts does.
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Config } from "./config.ts";

/** One setting: where it may be given, what it accepts, what it means. */
export interface ConfigOption {
  readonly key: keyof Config;
  /** null: not on the command line, because it is a secret. */
  readonly flag: string | null;
  readonly env: string;
  /** `list` options may be repeated as flags and are separated by commas in the environment. */
  readonly kind: "text" | "integer" | "list" | "path" | "paths";
  readonly schema: z.ZodType;
  /** What the schema accepts, to complete the sentence "--port must be …". */
  readonly expects: string;
  readonly fallback: unknown;
  /** The default as shown to people, where the value itself would not do. */
  readonly fallbackText?: string;
  readonly meaning: string;
}

const repositoryModels = fileURLToPath(new URL("../models", import.meta.url));
const integer = (min: number, max: number) => z.int().min(min).max(max);
const wholeNumber = (min: number, max: number) => `a whole number from ${min} to ${max}`;
const nothingOr = (word: string, schema: z.ZodType) =>
  z.union([z.literal(word).transform(() => null), z.null(), schema]);
const origin = /^(\*|https?:\/\/[^/\s*]+)$/;

/** Every option, in the order of `--help` and of the README. */
export const configOptions: readonly ConfigOption[] = [
  {
    key: "host",
    flag: "host",
    env: "REALCHAT_HOST",
    kind: "text",
    schema: z.string().regex(/^\S+$/),
    expects: "a host name or address",
    fallback: "127.0.0.1",
    meaning: "Address to listen on; `0.0.0.0` for every interface.",
  },
  {
    key: "port",
    flag: "port",
    env: "REALCHAT_PORT",
    kind: "integer",
    schema: integer(0, 65_535),
    expects: wholeNumber(0, 65_535),
    fallback: 8080,
    meaning: "Port to listen on; 0 takes a free one.",
  },
  {
    key: "modelRoots",
    flag: "models",
    env: "REALCHAT_MODELS",
    kind: "paths",
    schema: z.array(z.string().min(1)),
    expects: "a folder",
    fallback: [repositoryModels],
    fallbackText: "the repository's `models`",
    meaning: "Folder whose subfolders with a `manifest.json` are served.",
  },
  {
    key: "modelFolders",
    flag: "model",
    env: "REALCHAT_MODEL",
    kind: "paths",
    schema: z.array(z.string().min(1)),
    expects: "a folder",
    fallback: [],
    meaning: "One more model folder to serve.",
  },
  {
    key: "rescanS",
    flag: "rescan",
    env: "REALCHAT_RESCAN",
    kind: "integer",
    schema: integer(0, 86_400),
    expects: `${wholeNumber(0, 86_400)} (seconds)`,
    fallback: 5,
    meaning:
      "Seconds between two looks through the models folders: new models are loaded, changed ones replaced, fine-tuned ones that are gone unloaded; 0 looks at the start only.",
  },
  {
    key: "device",
    flag: "device",
    env: "REALCHAT_DEVICE",
    kind: "text",
    schema: z.enum(["cpu", "cuda", "webgpu", "auto"]),
    expects: "one of cpu, cuda, webgpu, auto",
    fallback: "auto",
    meaning:
      "Where models run. `auto` takes the best there is and says which; a named device that cannot be had stops the start.",
  },
  {
    key: "threads",
    flag: "threads",
    env: "REALCHAT_THREADS",
    kind: "integer",
    schema: nothingOr("auto", integer(1, 1024)),
    expects: `auto or ${wholeNumber(1, 1024)}`,
    fallback: null,
    fallbackText: "`auto`",
    meaning: "CPU threads that compute; `auto` means one per core.",
  },
  {
    key: "spin",
    flag: "spin",
    env: "REALCHAT_SPIN",
    kind: "text",
    schema: z.enum(["on", "off"]),
    expects: "one of on, off",
    fallback: "on",
    meaning:
      "Whether computing threads wait for each other by spinning: quickest on cores of their own. Choose `off` under a CPU limit or beside other busy processes.",
  },
  {
    key: "ortLibrary",
    flag: "ort-library",
    env: "REALCHAT_ORT_LIBRARY",
    kind: "text",
    schema: nothingOr("packaged", z.string().min(1)),
    expects: "packaged or a file",
    fallback: null,
    fallbackText: "`packaged`",
    meaning: "Another ONNX Runtime library (1.15 or later) than the one in the npm package, say a build with CUDA.",
  },
  {
    key: "slotsPerModel",
    flag: "slots",
    env: "REALCHAT_SLOTS",
    kind: "integer",
    schema: integer(1, 1024),
    expects: wholeNumber(1, 1024),
    fallback: 16,
    meaning: "Sequences a model computes at the same time.",
  },
  {
    key: "prefillChunkTokens",
    flag: "prefill-chunk",
    env: "REALCHAT_PREFILL_CHUNK",
    kind: "integer",
    schema: integer(1, 65_536),
    expects: wholeNumber(1, 65_536),
    fallback: 256,
    meaning:
      "Prompt tokens computed between two decode steps; smaller is smoother for others, larger is faster for the prompt.",
  },
  {
    key: "contextWindowCap",
    flag: "context-window",
    env: "REALCHAT_CONTEXT_WINDOW",
    kind: "integer",
    schema: nothingOr("model", integer(16, 16_777_216)),
    expects: `model or ${wholeNumber(16, 16_777_216)}`,
    fallback: null,
    fallbackText: "`model`",
    meaning: "Most tokens of prompt and reply; `model` means each model's own window. Less saves memory.",
  },
  {
    key: "batchInvariant",
    flag: "batch-invariant",
    env: "REALCHAT_BATCH_INVARIANT",
    kind: "text",
    schema: z.enum(["auto", "on", "off"]),
    expects: "one of auto, on, off",
    fallback: "auto",
    meaning:
      "Compute a lone sequence as a row of two, so that answers do not depend on what runs beside them; `auto` follows the model's manifest.",
  },
  {
    key: "dataFolder",
    flag: "data",
    env: "REALCHAT_DATA",
    kind: "path",
    schema: z.string().min(1),
    expects: "a folder",
    fallback: resolve("data"),
    fallbackText: "`./data`",
    meaning:
      "Folder that keeps self-play jobs and uploaded files; made when the first comes. One server at a time may use it, unless the jobs are kept in PostgreSQL.",
  },
  {
    key: "seedFolder",
    flag: "seed-folder",
    env: "REALCHAT_SEED_FOLDER",
    kind: "path",
    schema: z.string().min(1).nullable(),
    expects: "a folder",
    fallback: null,
    fallbackText: "none",
    meaning: "Folder whose files requests may name as sets of seeds; without it, seeds are sent along.",
  },
  {
    key: "databaseUrl",
    flag: null,
    env: "DATABASE_URL",
    kind: "text",
    schema: nothingOr("", z.string().regex(/^postgres(ql)?:\/\/\S+$/)),
    expects: "an address such as postgresql://user:password@host/database",
    fallback: null,
    fallbackText: "none: the data folder",
    meaning: "PostgreSQL server to keep jobs in; any number of gateways may share it. Environment only.",
  },
  {
    key: "leaseS",
    flag: "lease",
    env: "REALCHAT_LEASE",
    kind: "integer",
    schema: integer(1, 3600),
    expects: `${wholeNumber(1, 3600)} (seconds)`,
    fallback: 15,
    meaning:
      "Seconds after which other gateways on the same PostgreSQL take over the dialogues of one that fell silent.",
  },
  {
    key: "maxQueuedRequests",
    flag: "max-queued-requests",
    env: "REALCHAT_MAX_QUEUED_REQUESTS",
    kind: "integer",
    schema: integer(1, 1_000_000),
    expects: wholeNumber(1, 1_000_000),
    fallback: 256,
    meaning: "Sequences that may wait per model; the next one is answered with 429.",
  },
  {
    key: "maxQueuedTokens",
    flag: "max-queued-tokens",
    env: "REALCHAT_MAX_QUEUED_TOKENS",
    kind: "integer",
    schema: integer(1, 1_000_000_000),
    expects: wholeNumber(1, 1_000_000_000),
    fallback: 262_144,
    meaning: "Prompt tokens that may wait per model; beyond that requests are answered with 429.",
  },
  {
    key: "maxChoices",
    flag: "max-choices",
    env: "REALCHAT_MAX_CHOICES",
    kind: "integer",
    schema: integer(1, 128),
    expects: wholeNumber(1, 128),
    fallback: 128,
    meaning: "Largest `n` a request may ask for.",
  },
  {
    key: "apiKeys",
    flag: null,
    env: "REALCHAT_API_KEYS",
    kind: "list",
    schema: z.array(z.string().regex(/^[\x21-\x7e]+$/)),
    expects: "keys of printable characters without spaces, separated by commas",
    fallback: [],
    fallbackText: "none: no key is asked for",
    meaning: "Keys accepted as `Authorization: Bearer` on `/v1/*`. Environment only.",
  },
  {
    key: "corsOrigins",
    flag: "cors-origin",
    env: "REALCHAT_CORS_ORIGINS",
    kind: "list",
    schema: z.array(z.string().regex(origin)),
    expects: "an origin such as https://example.org, or *",
    fallback: [],
    meaning: "Web origins that browsers may call from.",
  },
  {
    key: "maxBodyBytes",
    flag: "max-body-bytes",
    env: "REALCHAT_MAX_BODY_BYTES",
    kind: "integer",
    schema: integer(1024, 1_073_741_824),
    expects: wholeNumber(1024, 1_073_741_824),
    fallback: 4_194_304,
    meaning: "Largest request body, uploads of files aside; beyond it the answer is 413.",
  },
  {
    key: "maxFileBytes",
    flag: "max-file-bytes",
    env: "REALCHAT_MAX_FILE_BYTES",
    kind: "integer",
    schema: integer(1, 1_099_511_627_776),
    expects: wholeNumber(1, 1_099_511_627_776),
    fallback: 536_870_912,
    meaning: "Largest file that may be uploaded; beyond it the answer is 413.",
  },
  {
    key: "tuningRecipe",
    flag: "tuning-recipe",
    env: "REALCHAT_TUNING_RECIPE",
    kind: "text",
    schema: z.enum(["onnx", "pytorch"]),
    expects: "one of onnx, pytorch",
    fallback: "onnx",
    meaning:
      "Who trains fine-tuning jobs: the gateway's own recipe, or the one that needs a Python with PyTorch (`REALCHAT_PYTHON`).",
  },
  {
    key: "drainTimeoutS",
    flag: "drain-timeout",
    env: "REALCHAT_DRAIN_TIMEOUT",
    kind: "integer",
    schema: integer(0, 86_400),
    expects: `${wholeNumber(0, 86_400)} (seconds)`,
    fallback: 30,
    meaning: "Seconds running requests may take to finish after SIGTERM or SIGINT.",
  },
  {
    key: "sseKeepAliveS",
    flag: "sse-keep-alive",
    env: "REALCHAT_SSE_KEEP_ALIVE",
    kind: "integer",
    schema: integer(0, 3600),
    expects: `${wholeNumber(0, 3600)} (seconds)`,
    fallback: 15,
    meaning: "Seconds of silence after which a stream sends a comment line; 0 switches it off.",
  },
  {
    key: "logLevel",
    flag: "log-level",
    env: "REALCHAT_LOG_LEVEL",
    kind: "text",
    schema: z.enum(["debug", "info", "warn", "error", "silent"]),
    expects: "one of debug, info, warn, error, silent",
    fallback: "info",
    meaning: "Least severe log line that is written.",
  },
];
