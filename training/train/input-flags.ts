// Owns the flags that say what a training starts from, where that is not there as files yet: a served model as the base, and
// conversations that are still to be exported. It reads no file.

const TEXT = { type: "string" } as const;
const SWITCH = { type: "boolean" } as const;

export const INPUT_FLAGS = {
  model: TEXT,
  "learn-end": SWITCH,
  holdout: TEXT,
  clean: TEXT,
  jobs: TEXT,
  url: TEXT,
} as const;

/** By the export's own names, where they differ. */
const EXPORT_NAMES: Readonly<Record<string, string>> = { jobs: "data" };
const HANDED_ON = ["learn-end", "holdout", "clean", "jobs", "url"] as const;

export const INPUT_HELP = `  --model ID                    Served model to train further, by its id or folder; takes the place of --base. What is not said of
                                the result (precision, context, licence, …) is as it is there
  --data EXPORT|FILE|job:ID     An export of format tokenized, or what one is made of: conversations in any format that npm run
                                export reads, or a self-play job. The last two need --model
  --learn-end --holdout SHARE --clean RULES
                                As in npm run export, for what is exported here
  --jobs FOLDER, --url URL      Where self-play jobs are: a gateway's data folder, or a running gateway`;

export interface RunInputs {
  /** Id or folder of a served model; null for --base. */
  readonly model: string | null;
  /** For the export's command line. */
  readonly exportFlags: readonly string[];
  /** Flags of the importer that were given: the others are as the model has them. */
  readonly givenImportFlags: ReadonlySet<string>;
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** What the flags say; `importFlags` are the importer's names. */
export function readInputs(values: Values, importFlags: readonly string[]): RunInputs {
  const { model } = values;
  const exportFlags = HANDED_ON.flatMap((name) => {
    const value = values[name];
    if (value === undefined || value === false) return [];
    const own = EXPORT_NAMES[name] ?? name;
    return [value === true ? `--${own}` : `--${own}=${value}`];
  });
  return {
    model: typeof model === "string" && model !== "" ? model : null,
    exportFlags,
    givenImportFlags: new Set(importFlags.filter((name) => values[name] !== undefined)),
  };
}
