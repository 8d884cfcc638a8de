// `npm run preview`: one training example in the terminal, to check by eye what is trained.
// Exit codes: 0 shown, 1 a source or a model, 2 bad flags.
import { parseArgs, styleText } from "node:util";
import { EngineError } from "../../runtime/errors.ts";
import { Funnel } from "../clean/funnel.ts";
import { roleOf, tokensOf } from "../exports/cli-options.ts";
import { FlagError, modelFolderOf, PREPARE_FLAGS, PREPARE_HELP, toPrepareOptions } from "../prepare/flags.ts";
import { prepare } from "../prepare/prepare.ts";
import { SourceError } from "../sources/source-error.ts";
import { makeExample } from "./example.ts";
import { openModelText } from "./model-text.ts";
import { renderExample, type Style } from "./preview.ts";

const HELP = `Usage: npm run preview -- SOURCE… --model MODEL --role user|assistant [--index N] [options]

Shows one example as a trainer gets it. What is trained is green, or stands in [[ ]] where there are no colours.

  --role user|assistant         Whose turns are trained
  --index N                     Which conversation, from 0 [0]
  --ids                         Show token ids
  --learn-end                   As for the export
  --help                        This text

${PREPARE_HELP}`;

const FLAGS = {
  ...PREPARE_FLAGS,
  role: { type: "string" },
  index: { type: "string", default: "0" },
  ids: { type: "boolean", default: false },
  "learn-end": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const styles = {
  trained: ["green", "bold"],
  trainedControl: ["black", "bgGreen"],
  control: ["magenta"],
  context: ["dim"],
} as const satisfies Readonly<Record<Style, unknown>>;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isFlag = error instanceof FlagError || (error instanceof TypeError && "code" in error);
  const isOurs = isFlag || error instanceof SourceError || error instanceof EngineError;
  console.error(isOurs ? `preview: ${error.message}` : error);
  process.exitCode = isFlag ? 2 : 1;
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (positionals.length === 0) throw new FlagError("name at least one source");
  if (values.model === undefined) throw new FlagError("--model is needed");
  const role = roleOf(values.role ?? "");
  if (!/^\d+$/.test(values.index)) throw new FlagError(`--index must be a whole number, found "${values.index}"`);
  const index = Number(values.index);
  const model = await openModelText(modelFolderOf(values.model));
  const maxTokens = values["max-tokens"] === undefined ? model.contextWindow : tokensOf(values["max-tokens"]);
  const options = toPrepareOptions(values, ({ file, row }, reason) => {
    console.error(`preview: ${file}, row ${row}: ${reason}`);
  });
  const signal = new AbortController().signal;
  let seen = 0;
  for await (const conversation of prepare(positionals, options, new Funnel(), signal, model)) {
    if (seen++ < index) continue;
    const limits = { role, maxTokens, isLearningEnd: values["learn-end"] };
    const result = await makeExample(conversation, model, limits, signal);
    if (result.kind !== "example") {
      const { id, origin } = conversation;
      console.error(`preview: ${origin.file}, row ${origin.row} (${id}) is no example: ${result.reason}`);
      return 1;
    }
    const { example } = result;
    const stream = process.stdout;
    const hasColours = process.env["NO_COLOR"] === undefined && stream.isTTY && stream.hasColors();
    const paint = hasColours ? (style: Style, text: string) => styleText([...styles[style]], text) : null;
    console.log(renderExample(example, model.tokenizer, paint, values.ids));
    const { inputIds, trainedTokens, cutTurns } = example;
    const cut = cutTurns === 0 ? "" : `; ${cutTurns} trained turns were cut off at ${maxTokens} tokens`;
    console.error(`${conversation.id}: ${inputIds.length} tokens, ${trainedTokens} of them trained${cut}`);
    return 0;
  }
  console.error(`preview: there are only ${seen} conversations, so none has index ${index}`);
  return 1;
}
