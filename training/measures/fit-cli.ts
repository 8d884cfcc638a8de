// Fits a human-likeness classifier: real questions and simulated ones in, a model file out, its report on stdout.
// Exit codes: 0 done, 1 unusable files, 2 bad flags.
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { writeHumanLikeness } from "./human-likeness.ts";
import { trainHumanLikeness } from "./human-training.ts";
import { readQuestions } from "./question-file.ts";

const HELP = `Fits a classifier that tells people's questions from simulated ones.

  --human FILE       real questions, JSON Lines, .gz or not (repeatable)
  --simulated FILE   questions of simulators on the same subjects (repeatable)
  --out FILE         where the model goes
  --name NAME        what its report is called (default: the name of --out)

A line is {"text", "source"}, or a dialogue with "messages" or "conversations", of which the user's turns are taken.
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
  const { human = [], simulated = [], out, name } = flags;
  if (human.length === 0 || simulated.length === 0 || out === undefined) {
    process.stderr.write("fit: --human, --simulated and --out are needed (--help explains them)\n");
    return 2;
  }
  const questions = [...(await readAll(human, true)), ...(await readAll(simulated, false))];
  const model = trainHumanLikeness(name ?? out, questions);
  await writeFile(out, `${JSON.stringify(writeHumanLikeness(model))}\n`);
  process.stdout.write(`${JSON.stringify(model.report)}\n`);
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
      help: { type: "boolean" },
    },
  });
  return values;
}

async function readAll(paths: readonly string[], isHuman: boolean) {
  const files = await Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
  return files.flatMap(({ path, bytes }) => {
    const text = path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
    return readQuestions(path, text.toString("utf8"), isHuman);
  });
}
