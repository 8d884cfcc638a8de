// Owns the command line of `npm run selfplay`: its flags, its help, and the request they stand for.
// Values are not checked here beyond being numbers: the request is checked where every request is, so the rules are the same.
import { parseArgs } from "node:util";

/** A job as the command line asks for it. */
export interface JobCommand {
  /** A running gateway; null starts one in this process. */
  readonly url: string | null;
  /** One to follow instead of a new one. */
  readonly job: string | null;
  /** Body of `POST /v1/selfplay/jobs`. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Where the finished dialogues are written; null writes none. */
  readonly out: string | null;
  readonly format: string;
}

/** What the command line asks for. */
export interface SelfplayCommand {
  /** A running gateway; null plays in this process. */
  readonly url: string | null;
  readonly isJson: boolean;
  readonly isHelp: boolean;
  /** null when one dialogue is asked for, to be watched. */
  readonly job: JobCommand | null;
  /** Body of `POST /v1/selfplay/dialogues`. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A command line that cannot be used; the message is one sentence for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

interface Flag {
  readonly value: "text" | "number" | null;
  readonly meaning: string;
}

const flags: Readonly<Record<string, Flag>> = {
  user: { value: "text", meaning: "Model that writes the user's turns (default usergpt)." },
  assistant: { value: "text", meaning: "Model that writes the assistant's turns (default realm)." },
  seed: { value: "number", meaning: "Equal seeds give equal dialogues (default: random, shown at the end)." },
  "max-turns": { value: "number", meaning: "Most rounds; without it other rules end the dialogue." },
  question: { value: "text", meaning: "Question of a seed round; needs --answer." },
  answer: { value: "text", meaning: "Answer of a seed round." },
  "user-system": { value: "text", meaning: "What the user's model alone is told first: an intent or profile." },
  "assistant-system": { value: "text", meaning: "What the assistant's model alone is told first." },
  url: { value: "text", meaning: "Play on a running gateway, such as http://localhost:8080, not in this process." },
  json: { value: null, meaning: "Print the finished dialogue as one line of JSON and nothing else." },
  format: { value: "text", meaning: "With --json or --out: openai (default) or sharegpt; with --out also platolm." },
  help: { value: null, meaning: "Show this." },
};

/** One of these makes it a job. */
const jobFlags: Readonly<Record<string, Flag>> = {
  count: { value: "number", meaning: "Dialogues to make." },
  out: { value: "text", meaning: "File for the dialogues, .jsonl or .parquet, written when the job has ended." },
  job: { value: "text", meaning: "Follow this job instead of making one." },
  simulator: { value: "text", meaning: "Who plays the user: learned (default), selfchat, roleplay or prequery." },
  mode: { value: "text", meaning: "How the simulator goes about it, such as free or seeded." },
  seeds: { value: "text", meaning: "File whose rows start the dialogues, inside the gateway's seed folder." },
  "seeds-format": {
    value: "text",
    meaning: "Its format: plain (default), dolly, wizardlm, self-instruct or sharegpt.",
  },
  concurrency: { value: "number", meaning: "Most dialogues at a time (default: as many as the models have slots)." },
  "budget-tokens": { value: "number", meaning: "Ends the job when as many tokens were computed." },
};

/** For both sides, or as --user-… and --assistant-… for one. */
const samplingFlags: Readonly<Record<string, Flag>> = {
  temperature: { value: "number", meaning: "0 is greedy (default: each model's own recommendation)." },
  "top-p": { value: "number", meaning: "Draw from the most likely tokens that make up this share." },
  "top-k": { value: "number", meaning: "Draw from this many tokens; 0 is off." },
  "min-p": { value: "number", meaning: "Drop tokens less likely than this share of the likeliest." },
  "presence-penalty": { value: "number", meaning: "From -2 to 2." },
  "frequency-penalty": { value: "number", meaning: "From -2 to 2." },
  "repetition-penalty": { value: "number", meaning: "1 is off." },
  "max-tokens": { value: "number", meaning: "Most tokens of one turn." },
  stop: { value: "text", meaning: "Text at which a turn ends." },
};

const sides = ["user", "assistant"] as const;

const allFlags: Readonly<Record<string, Flag>> = {
  ...flags,
  ...jobFlags,
  ...samplingFlags,
  ...Object.fromEntries(
    sides.flatMap((side) => Object.entries(samplingFlags).map(([name, flag]) => [`${side}-${name}`, flag])),
  ),
};

/** Reads the arguments. Throws UsageError. */
export function readCommand(argv: readonly string[]): SelfplayCommand {
  const given = parse(argv);
  const text = (name: string) => given.get(name) as string | undefined;
  const question = text("question");
  const answer = text("answer");
  if ((question === undefined) !== (answer === undefined)) {
    throw new UsageError("--question and --answer make a seed round together; give both or neither.");
  }
  const messages = [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ];
  const body = {
    user: given.get("user"),
    assistant: given.get("assistant"),
    messages: question === undefined ? undefined : messages,
    system: { user: given.get("user-system"), assistant: given.get("assistant-system") },
    seed: given.get("seed"),
    max_turns: given.get("max-turns"),
    sampling: { user: readSampling(given, "user"), assistant: readSampling(given, "assistant") },
    format: given.get("format"),
  };
  return {
    url: text("url") ?? null,
    job: readJob(given, body),
    isJson: given.has("json"),
    isHelp: given.has("help"),
    // Leaves out what is undefined, at every depth.
    body: JSON.parse(JSON.stringify(body)) as Record<string, unknown>,
  };
}

function readJob(given: ReadonlyMap<string, unknown>, dialogue: Readonly<Record<string, unknown>>): JobCommand | null {
  if (!Object.keys(jobFlags).some((name) => given.has(name))) return null;
  if (given.has("json")) throw new UsageError("--json prints one dialogue; a job writes its dialogues with --out.");
  const { format, ...common } = dialogue;
  const path = given.get("seeds");
  const tokens = given.get("budget-tokens");
  const job = {
    ...common,
    count: given.get("count"),
    simulator: given.get("simulator"),
    mode: given.get("mode"),
    seeds: path === undefined ? undefined : { path, format: given.get("seeds-format") ?? "plain" },
    concurrency: given.get("concurrency"),
    budget: tokens === undefined ? undefined : { tokens },
  };
  const text = (name: string) => (given.get(name) as string | undefined) ?? null;
  return {
    url: text("url"),
    job: text("job"),
    body: JSON.parse(JSON.stringify(job)) as Record<string, unknown>,
    out: text("out"),
    format: typeof format === "string" ? format : "openai",
  };
}

/** Every flag with its meaning. */
export function helpText(): string {
  return [
    "Usage: npm run selfplay -- [options]",
    "",
    "Lets a user model and an assistant model talk, live in the terminal.",
    "",
    ...Object.entries(flags).map(helpLine),
    "",
    "Many dialogues, as a job that survives crashes and can be left with Ctrl-C:",
    "",
    ...Object.entries(jobFlags).map(helpLine),
    "",
    "Sampling, for both sides, or for one as --user-temperature, --assistant-temperature and so on:",
    "",
    ...Object.entries(samplingFlags).map(helpLine),
    "",
    "Models, device and the like are set as for the gateway, by REALCHAT_… variables.",
  ].join("\n");
}

function helpLine([name, { value, meaning }]: [string, Flag]): string {
  return `  ${`--${name}${value === null ? "" : ` <${value}>`}`.padEnd(32)}${meaning}`;
}

function parse(argv: readonly string[]): Map<string, string | number | true> {
  const options = Object.fromEntries(
    Object.entries(allFlags).map(([name, { value }]) => [
      name,
      { type: value === null ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  try {
    const { values } = parseArgs({ args: joinNegatives(argv), options, strict: true, allowPositionals: false });
    return new Map(Object.entries(values).map(([name, value]) => [name, readValue(name, value as string | true)]));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message.split(". ")[0]?.replace(/\s+/g, " ") : String(error);
    throw new UsageError(`${reason}. --help lists every option.`, { cause: error });
  }
}

function readValue(name: string, value: string | true): string | number | true {
  if (value === true || allFlags[name]?.value !== "number") return value;
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number)) {
    throw new UsageError(`--${name} must be a number, not ${JSON.stringify(value)}.`);
  }
  return number;
}

/** parseArgs takes the -1 of `--seed -1` for an option of its own. */
function joinNegatives(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const argument of argv) {
    const last = joined.at(-1);
    if (last?.startsWith("--") === true && !last.includes("=") && /^-[\d.]/.test(argument)) {
      joined[joined.length - 1] = `${last}=${argument}`;
    } else {
      joined.push(argument);
    }
  }
  return joined;
}

function readSampling(given: ReadonlyMap<string, unknown>, side: string): Record<string, unknown> {
  const fields = Object.keys(samplingFlags).map((name) => {
    return [name.replaceAll("-", "_"), given.get(`${side}-${name}`) ?? given.get(name)] as const;
  });
  return Object.fromEntries(fields);
}
