// Owns what `npm run evaluate` can be asked: its commands, their flags, and the help that lists them. It checks no value.

export interface Flag {
  readonly value: "text" | "list";
  readonly meaning: string;
}

const text = (meaning: string): Flag => ({ value: "text", meaning });
const list = (meaning: string): Flag => ({ value: "list", meaning });

const modelFlags = {
  url: text("OpenAI-compatible endpoint, such as http://127.0.0.1:8080/v1; without it models are loaded here."),
  device: text("For models loaded here: auto, cpu (default), cuda or webgpu."),
  threads: text("For models loaded here: CPU threads (default one per core)."),
  concurrency: text("Requests at once (default 4)."),
  seed: text("Equal seeds give equal draws where the model keeps to them (default 1)."),
};
const benchFlags = {
  bench: text("mt-bench (default), vicuna-bench, or a file of questions."),
  dir: text("Folder of answers and judgments (default evaluation)."),
};
const judgeFlags = {
  judge: text("The judge: a name at --url, a model folder, or a name in models/."),
  ...modelFlags,
  ...benchFlags,
  "judge-id": text("Name under which its judgments are kept (default: its own)."),
  prompts: text("Judge prompts in FastChat's form (default: those that come with this)."),
  references: text("Reference answers, for a bench that is a file."),
  "max-tokens": text("Longest reply of the judge (default 2048)."),
};

export const commands = {
  answers: {
    about: "Has a model answer a question set; goes on where an earlier run ended.",
    flags: {
      model: text("The model: a name at --url, a model folder, or a name in models/."),
      ...modelFlags,
      ...benchFlags,
      "model-id": text("Name under which its answers are kept (default: its own)."),
      "max-tokens": text("Longest answer (default 1024)."),
    },
  },
  "judge pointwise": {
    about: "Has a judge rate every turn of a model's answers from 1 to 10.",
    flags: { model: list("Model whose answers are judged, by its name in --dir (repeatable)."), ...judgeFlags },
  },
  "judge pairwise": {
    about: "Has a judge compare two models' answers, in both orders.",
    flags: { model: list("The two models, by their names in --dir; twice."), ...judgeFlags },
  },
  report: {
    about: "Prints scores by turn and category, win rates, and correlations with measures of data sets.",
    flags: {
      ...benchFlags,
      judgments: list("Judgment file (repeatable; default: all of the bench in --dir)."),
      measures: text("Data sets' measures, a row a model: {model, measures, scores?}."),
      html: text("Also write a page with plots."),
      json: text("Also write everything as JSON."),
    },
  },
  perplexity: {
    about: "How probable held-out dialogues are to a model of this machine: nats a token, perplexity, bits a byte.",
    flags: {
      model: text("Model folder, or a name in models/."),
      against: text("A second model, compared on the same turns: the difference of bits a byte with its interval."),
      data: list("Dialogues: a file, a folder, or job:ID for a self-play job (repeatable)."),
      role: text("Whose turns: own (default), other, or both."),
      limit: text("At most so many dialogues of each, drawn with --seed (default all)."),
      holdout: text("Score only what a run with --holdout SHARE kept out of training (default 1: everything)."),
      "holdout-seed": text("The --seed of that run (default 125)."),
      store: text("For job:ID: a gateway's data folder."),
      url: text("For job:ID: a running gateway instead."),
      device: modelFlags.device,
      threads: modelFlags.threads,
      seed: text("Of the draw and of the intervals (default 1)."),
      json: text("Also write everything as JSON."),
    },
  },
  termination: {
    about:
      "Whether a user model of this machine ends held-out dialogues where people ended them: precision, recall, F1.",
    flags: {
      model: text("Model folder, or a name in models/; one that writes the user's turns."),
      data: list("Dialogues: a file, a folder, or job:ID for a self-play job (repeatable)."),
      complete: text("said (default): those whose row says is_complete; all: every dialogue came to its end."),
      temperature: text("0 (default) takes the likeliest token; up to 1 draws it."),
      limit: text("At most so many dialogues of each, drawn with --seed (default all)."),
      holdout: text("Ask only about what a run with --holdout SHARE kept out of training (default 1: everything)."),
      "holdout-seed": text("The --seed of that run (default 125)."),
      store: text("For job:ID: a gateway's data folder."),
      url: text("For job:ID: a running gateway instead."),
      device: modelFlags.device,
      threads: modelFlags.threads,
      seed: text("Of the draws and of the intervals (default 1)."),
      json: text("Also write everything as JSON."),
    },
  },
  subset: {
    about: "Writes nested subsets of a data set in JSON Lines, each part of every larger one.",
    flags: {
      data: text("The data set."),
      sizes: text("Rows, such as 1000,2000,5000."),
      seed: text("Of the draw (default 1)."),
      out: text("Folder for the subsets."),
    },
  },
  scaling: {
    about: "A scaling curve: scores of models trained on subsets of growing size.",
    flags: {
      results: text("JSON Lines of {size, scores: {name: value}}."),
      sizes: text("Instead of --results: sizes, such as 1000,2000,5000,"),
      scores: text("and the scores in their order."),
      html: text("Also write a page with the curve."),
      json: text("Also write everything as JSON."),
    },
  },
} as const satisfies Readonly<
  Record<string, { readonly about: string; readonly flags: Readonly<Record<string, Flag>> }>
>;

export type CommandName = keyof typeof commands;

/** Everything that can be asked. */
export function helpText(): string {
  const parts = Object.entries(commands).map(([name, { about, flags }]) => {
    const lines = Object.entries(flags as Readonly<Record<string, Flag>>).map(
      ([flag, { meaning }]) => `    --${flag.padEnd(14)} ${meaning}`,
    );
    return `  ${name}\n    ${about}\n${lines.join("\n")}`;
  });
  return `npm run evaluate -- COMMAND [flags]\n\n${parts.join("\n\n")}\n\nKeys are read from REALCHAT_JUDGE_KEY or OPENAI_API_KEY alone.\n`;
}
