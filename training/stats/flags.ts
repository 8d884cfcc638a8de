// Owns the command line of `npm run stats`: its flags, its help, and what they mean. Every bad flag is one sentence.
// It reads no file and prints nothing.
import { parseArgs } from "node:util";
import type { Rubric } from "../judge/prompts.ts";
import {
  FlagError,
  modelFolderOf,
  PREPARE_FLAGS,
  PREPARE_HELP,
  type PrepareFlags,
  toPrepareOptions,
} from "../prepare/flags.ts";
import type { PrepareOptions } from "../prepare/prepare.ts";

export interface StatsCommand {
  readonly sources: readonly string[];
  readonly prepare: PrepareOptions;
  readonly tokenizer: { readonly kind: "model" | "tokenizer"; readonly folder: string };
  /** Path of names in the provenance by which sources are divided; null: a row for each source. */
  readonly by: string | null;
  readonly htmlFile: string | null;
  readonly jsonFile: string | null;
  readonly scoresFile: string | null;
  readonly humanLikenessFile: string | null;
  readonly withPaper: boolean;
  readonly judge: JudgeFlags | null;
}

interface JudgeFlags {
  readonly model: string;
  readonly url: string;
  readonly sample: number;
  readonly seeds: number;
  readonly parallel: number;
  readonly rubric: Rubric;
}

const FLAGS = {
  ...PREPARE_FLAGS,
  // Figures are of whole sessions unless windows are asked for.
  split: { type: "string", default: "none" },
  tokenizer: { type: "string" },
  by: { type: "string" },
  html: { type: "string" },
  json: { type: "string" },
  scores: { type: "string" },
  paper: { type: "boolean", default: false },
  "human-likeness": { type: "string" },
  judge: { type: "string" },
  "judge-url": { type: "string" },
  "judge-sample": { type: "string", default: "100" },
  "judge-seeds": { type: "string", default: "1" },
  "judge-parallel": { type: "string", default: "4" },
  "judge-rubric": { type: "string", default: "paper-3" },
  help: { type: "boolean", default: false },
} as const;

export const STATS_HELP = `Measures conversations: the paper's Table 5, lengths, repeats, habits and what cleaning left.

  npm run stats -- SOURCE... [flags]

${PREPARE_HELP}
  Here --model says whose tokens are counted [realm], and sessions stay whole: --split none is what is taken unless given.

  --tokenizer FOLDER            Count the tokens of a folder with a tokenizer.json instead
  --by FIELD                    A row for each value of a field of the provenance, such as seed_item.set or mode
  --html FILE                   Write the report as one page
  --json FILE                   Write the figures; - for the standard output, with no table
  --paper                       Show the paper's rows beside one's own
  --human-likeness FILE         Classifier made by training/measures/fit-cli.ts
  --scores FILE                 Correlate with {"score": {"row": number}}
  --judge MODEL                 Have questions marked by a model behind an OpenAI-compatible endpoint
  --judge-url URL               Its base, such as http://127.0.0.1:8000/v1; key in REALCHAT_JUDGE_KEY or OPENAI_API_KEY
  --judge-sample N              Dialogues of each row to be judged [100]
  --judge-seeds N               How often each is judged; 2 shows how steady the judge is [1]
  --judge-parallel N            Calls under way at once [4]
  --judge-rubric RUBRIC         paper-3 or repository-4, which also marks diversity [paper-3]
  --help                        This text
`;

/** null: help was asked for. Throws FlagError. */
export function readStatsCommand(argv: readonly string[], onBroken: PrepareOptions["onBroken"]): StatsCommand | null {
  const { values, positionals } = parse(argv);
  if (values.help) return null;
  if (positionals.length === 0) throw new FlagError("Name at least one source: a file, a folder or job:ID");
  const repeated = positionals.find((source, index) => positionals.indexOf(source) !== index);
  if (repeated !== undefined) throw new FlagError(`${repeated} is named twice`);
  if (values.model !== undefined && values.tokenizer !== undefined) {
    throw new FlagError("--model and --tokenizer exclude each other");
  }
  return {
    sources: positionals,
    prepare: toPrepareOptions(values satisfies PrepareFlags, onBroken),
    tokenizer:
      values.tokenizer === undefined
        ? { kind: "model", folder: modelFolderOf(values.model ?? "realm") }
        : { kind: "tokenizer", folder: values.tokenizer },
    by: values.by ?? null,
    htmlFile: values.html ?? null,
    jsonFile: values.json ?? null,
    scoresFile: values.scores ?? null,
    humanLikenessFile: values["human-likeness"] ?? null,
    withPaper: values.paper,
    judge: judgeOf(values),
  };
}

type Values = ReturnType<typeof parse>["values"];

function judgeOf(values: Values): JudgeFlags | null {
  const { judge: model, "judge-url": url } = values;
  if (model === undefined && url === undefined) return null;
  if (model === undefined) throw new FlagError("--judge-url needs --judge, the model's name");
  if (url === undefined) throw new FlagError("--judge needs --judge-url, the base of the endpoint");
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new FlagError(`--judge-url must be an http or https address, found "${url}"`);
  }
  const rubric = values["judge-rubric"];
  if (rubric !== "paper-3" && rubric !== "repository-4") {
    throw new FlagError(`--judge-rubric must be paper-3 or repository-4, found "${rubric}"`);
  }
  const [sample, seeds, parallel] = (["judge-sample", "judge-seeds", "judge-parallel"] as const).map((flag) => {
    const value = Number(values[flag]);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new FlagError(`--${flag} must be a positive integer, found "${values[flag]}"`);
    }
    return value;
  });
  return { model, url, rubric, sample: sample ?? 1, seeds: seeds ?? 1, parallel: parallel ?? 1 };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true });
  } catch (error) {
    // Node's own sentence names the flag; what follows it explains how to write flags that begin with a dash.
    throw new FlagError((error instanceof Error ? error.message : String(error)).replace(/\.(?: .*)?$/s, ""));
  }
}
