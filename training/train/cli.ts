// `npm run train`: an export and a base in, a served model out.
// Exit codes: 0 done, 1 failed, 2 bad flags or input, 130 interrupted (a checkpoint is kept).
import { EngineError } from "../../runtime/errors.ts";
import { progressDisplay } from "../../runtime/importer/progress.ts";
import { FlagError } from "../prepare/flags.ts";
import { SourceError } from "../sources/source-error.ts";
import type { ImportCheck } from "./check-import.ts";
import { parseTrainArguments, TRAIN_HELP, type TrainOptions } from "./cli-options.ts";
import { prepareRun } from "./prepare-run.ts";
import { PythonError } from "./python.ts";
import { TrainingView } from "./terminal-view.ts";
import { recipeTrainer, train } from "./train.ts";

const command = parseTrainArguments(process.argv.slice(2), new Date());
if (command.kind === "help") {
  process.stdout.write(TRAIN_HELP);
} else if (command.kind === "refused") {
  process.stderr.write(`train: ${command.sentence} (--help shows every flag)\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await run(command.options);
}

async function run(options: TrainOptions): Promise<number> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  // For good: npm passes on an interrupt that the terminal has sent already, and a second one must not cut the checkpoint short.
  process.on("SIGINT", stop).on("SIGTERM", stop);
  const view = new TrainingView(process.stderr);
  const display = progressDisplay(process.stderr);
  const python = options.python ?? process.env["REALCHAT_PYTHON"] ?? "python3";
  try {
    const hooks = {
      onEvent: view.show.bind(view),
      onImport: (progress: Parameters<typeof display.update>[0]) => {
        view.end();
        display.update(progress);
      },
    };
    const noted = {
      onNote: (sentence: string) => process.stderr.write(`train: ${sentence}\n`),
      onWeights: hooks.onImport,
    };
    const ready = await prepareRun(options, noted, abort.signal);
    display.end();
    const outcome = await train(ready, recipeTrainer(ready, python), hooks, abort.signal);
    view.end();
    display.end();
    if (outcome.kind === "interrupted") {
      process.stderr.write("train: interrupted; the same command with --resume goes on\n");
      return 130;
    }
    process.stderr.write(`${checkText(outcome.registered.check)}\n`);
    process.stdout.write(`${outcome.registered.folder}\n`);
    return 0;
  } catch (error) {
    view.end();
    display.end();
    const sentence = error instanceof Error ? error.message : String(error);
    process.stderr.write(abort.signal.aborted ? "train: interrupted\n" : `train: ${sentence}\n`);
    if (abort.signal.aborted) return 130;
    const isInput = error instanceof PythonError || error instanceof FlagError || error instanceof SourceError;
    return isInput || (error instanceof EngineError && error.code === "invalid_request") ? 2 : 1;
  }
}

function checkText(check: ImportCheck): string {
  const { precision, positions, maxDifference, meanDifference, topAgreement } = check;
  return (
    `${precision} against the checkpoint: logits of ${positions} positions differ by ${meanDifference.toPrecision(2)} on average and ` +
    `${maxDifference.toPrecision(2)} at most, ${(topAgreement * 100).toFixed(1)} % have the same best token; ` +
    `loss ${check.importedLoss.toFixed(4)} instead of ${check.checkpointLoss.toFixed(4)} nats a token ` +
    `(${check.examples} examples, ${check.trainedTokens} tokens)`
  );
}
