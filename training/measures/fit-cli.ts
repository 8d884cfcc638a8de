// Fits a human-likeness classifier: real questions and simulated ones in, a model file out, its report on stdout.
// Exit codes: 0 done, 1 unusable files, 2 bad flags.
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { checkOnOthers, checkUnseenSimulators } from "./human-checks.ts";
import { writeHumanLikeness } from "./human-likeness.ts";
import { type LabelledQuestion, trainHumanLikeness } from "./human-training.ts";
import { readLabelledQuestions, readQuestions } from "./question-file.ts";
import { assignSubjects } from "./subjects.ts";

const HELP = `Fits a classifier that tells people's questions from simulated ones.

  --human FILE       real questions, JSON Lines, .gz or not (repeatable)
  --simulated FILE   questions of simulators on the same subjects (repeatable)
  --out FILE         where the model goes
  --name NAME        what its report is called (default: the name of --out)
  --check FILE       other questions to measure it on, for a figure in the file (repeatable): people's, or with a "label",
                     which is "human" or names a model, and a "role"
  --licence TEXT     written into the file, as are
  --origin TEXT      whose texts went in, and how they were come by

A line is {"text", "source"}, or a dialogue with "messages" or "conversations", of which the user's turns are taken.
Where real ones have a "domain", as many of both kinds are taken of each domain. With several files of simulated
questions, each is also left out once, to see how its questions fare with a classifier that never saw them.
`;

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`fit: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function run(argv: readonly string[]): Promise<number> {
  let flags: ReturnType<typeof parse>;
  try {
    flags = parse(argv);
  } catch (error) {
    process.stderr.write(`fit: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (flags.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const { human = [], simulated = [], check = [], out, name, licence, origin } = flags;
  if (human.length === 0 || simulated.length === 0 || out === undefined) {
    process.stderr.write("fit: --human, --simulated and --out are needed (--help explains them)\n");
    return 2;
  }
  const people = (await readAll(human, (path, text) => readQuestions(path, text, true))).flatMap(([, own]) => own);
  const simulators = await readAll(simulated, (path, text) => readQuestions(path, text, false));
  const questions = assignSubjects([...people, ...simulators.flatMap(([, own]) => own)]);
  const model = trainHumanLikeness(name ?? out, questions);
  const others = await readAll(check, readLabelledQuestions);
  const bySimulator = simulators.map(([file, own]): [string, LabelledQuestion[]] => {
    const sources = new Set(own.map(({ source }) => source));
    return [file, questions.filter(({ isHuman, source }) => !isHuman && sources.has(source))];
  });
  const checks = [
    ...checkUnseenSimulators(
      questions.filter(({ isHuman }) => isHuman),
      new Map(bySimulator),
    ),
    ...others.map(([file, own]) => checkOnOthers(`other questions: ${file}`, model, questions, own)),
  ];
  const about = { licence, origin, ...(checks.length === 0 ? {} : { checks }) };
  await writeFile(out, `${JSON.stringify(writeHumanLikeness(model, about))}\n`);
  process.stdout.write(`${JSON.stringify(model.report)}\n`);
  for (const figures of checks) process.stderr.write(`fit: ${JSON.stringify(figures)}\n`);
  return 0;
}

function parse(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    allowPositionals: false,
    options: {
      human: { type: "string", multiple: true },
      simulated: { type: "string", multiple: true },
      out: { type: "string" },
      name: { type: "string" },
      check: { type: "string", multiple: true },
      licence: { type: "string" },
      origin: { type: "string" },
      help: { type: "boolean" },
    },
  });
  return values;
}

/** Of each file its name and its questions. */
async function readAll(
  paths: readonly string[],
  read: (path: string, text: string) => LabelledQuestion[],
): Promise<[string, LabelledQuestion[]][]> {
  const files = await Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
  return files.map(({ path, bytes }) => {
    const text = path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
    return [basename(path), read(path, text.toString("utf8"))];
  });
}
