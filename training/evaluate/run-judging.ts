// Owns the commands that speak to models: answers, and judgments by rating or by comparison. It opens models and files, and
// leaves what is asked to answer.ts and judging.ts.
import type { ChatModel } from "../../runtime/chat-model.ts";
import { readJudgeKey } from "../judge/endpoint.ts";
import { answerQuestions } from "./answer.ts";
import { answerSchema, readAnswers } from "./answer-file.ts";
import { BenchFolder } from "./bench-folder.ts";
import { openRowLog } from "./json-lines.ts";
import { readJudgePrompts } from "./judge-prompts.ts";
import { pairSchema, singleSchema } from "./judgment-file.ts";
import { judgePairwise, judgePointwise, type JudgingSetup } from "./judging.ts";
import { devices, openModel } from "./open-model.ts";
import { type Options, UsageError } from "./options.ts";
import { judgePromptFile, readQuestionSet } from "./question-set.ts";
import type { Terminal } from "./terminal.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export async function runAnswers(
  options: Options,
  environment: Environment,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const set = await readQuestionSet(benchOf(options), null);
  await withModel(options.needed("model"), options, environment, terminal, signal, async (model) => {
    const modelId = options.text("model-id") ?? model.info.id;
    const path = folderOf(options).answerFile(modelId);
    const log = await openRowLog(path, answerSchema);
    try {
      const settings = {
        modelId,
        maxTokens: options.whole("max-tokens", 1024),
        seed: options.whole("seed", 1, 0),
        concurrency: options.whole("concurrency", 4),
        onProgress: (done: number, all: number) => terminal.note(`${done} of ${all} questions`),
      };
      const tally = await answerQuestions(model, set.questions, log, settings, signal);
      terminal.print(
        `${path}: ${tally.answered} questions answered, ${tally.skipped} were there already, ` +
          `${tally.tooLong} turns did not fit into the model's window.`,
      );
    } finally {
      await log.close();
    }
  });
}

export async function runPointwise(
  options: Options,
  environment: Environment,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const names = options.list("model");
  if (names.length === 0) throw new UsageError("--model is needed.");
  await withJudge(options, environment, terminal, signal, async (setup) => {
    const path = folderOf(options).judgmentFile(setup.judgeId, "single");
    for (const name of names) {
      const answers = await readAnswers(await folderOf(options).findAnswers(name));
      const log = await openRowLog(path, singleSchema);
      try {
        const tally = await judgePointwise(setup, answers, log, signal);
        terminal.print(
          `${path}: ${answers.modelId}, ${tally.judged} turns rated, ${tally.skipped} were there already, ${tally.unreadable} of the new cannot be read.`,
        );
      } finally {
        await log.close();
      }
    }
  });
}

export async function runPairwise(
  options: Options,
  environment: Environment,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const [one, two, ...more] = options.list("model");
  if (one === undefined || two === undefined || more.length > 0) throw new UsageError("--model is needed twice.");
  await withJudge(options, environment, terminal, signal, async (setup) => {
    const first = await readAnswers(await folderOf(options).findAnswers(one));
    const second = await readAnswers(await folderOf(options).findAnswers(two));
    const path = folderOf(options).judgmentFile(setup.judgeId, "pair");
    const log = await openRowLog(path, pairSchema);
    try {
      const tally = await judgePairwise(setup, first, second, log, signal);
      terminal.print(
        `${path}: ${first.modelId} and ${second.modelId}, ${tally.judged} turns compared, ${tally.skipped} were there already, ` +
          `${tally.unreadable} of the new cannot be read.`,
      );
    } finally {
      await log.close();
    }
  });
}

const benchOf = (options: Options): string => options.text("bench") ?? "mt-bench";

const folderOf = (options: Options): BenchFolder =>
  new BenchFolder(options.text("dir") ?? "evaluation", benchOf(options));

async function withJudge(
  options: Options,
  environment: Environment,
  terminal: Terminal,
  signal: AbortSignal,
  work: (setup: JudgingSetup) => Promise<void>,
): Promise<void> {
  const questionSet = await readQuestionSet(benchOf(options), options.text("references"));
  const prompts = await readJudgePrompts(options.text("prompts") ?? judgePromptFile);
  await withModel(options.needed("judge"), options, environment, terminal, signal, (judge) =>
    work({
      judge,
      judgeId: options.text("judge-id") ?? judge.info.id,
      prompts,
      questionSet,
      maxTokens: options.whole("max-tokens", 2048),
      seed: options.whole("seed", 1, 0),
      concurrency: options.whole("concurrency", 4),
      onProgress: (done, all) => terminal.note(`${done} of ${all} judgments`),
    }),
  );
}

async function withModel(
  name: string,
  options: Options,
  environment: Environment,
  terminal: Terminal,
  signal: AbortSignal,
  work: (model: ChatModel) => Promise<void>,
): Promise<void> {
  const choice = {
    model: name,
    url: options.text("url"),
    apiKey: readJudgeKey(environment),
    device: options.oneOf("device", devices, "cpu"),
    threads: options.wholeOrNull("threads"),
    concurrency: options.whole("concurrency", 4),
  };
  const model = await openModel(choice, (note) => terminal.note(note), signal);
  try {
    await work(model);
  } finally {
    await model.close();
  }
}
