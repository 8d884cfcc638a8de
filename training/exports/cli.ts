// `npm run export`: conversations in, a folder for a trainer out.
// Exit codes: 0 done, 1 a source, a model or the disk, 2 bad flags, 130 interrupted.
import { EngineError } from "../../runtime/errors.ts";
import { renderFunnel } from "../clean/funnel-table.ts";
import { FlagError } from "../prepare/flags.ts";
import { SourceError } from "../sources/source-error.ts";
import { EXPORT_HELP, parseExportArguments } from "./cli-options.ts";
import { ExportError } from "./export-folder.ts";
import { runExport, summaryOf } from "./run-export.ts";

/** Beyond so many, rows are only counted. */
const toldRows = 20;

process.exitCode = await main();

async function main(): Promise<number> {
  const abort = new AbortController();
  // For good: npm passes on an interrupt that the terminal has sent already, and the second must not cut the cleaning up.
  process.on("SIGINT", () => abort.abort()).on("SIGTERM", () => abort.abort());
  let told = 0;
  const tell = (line: string) => {
    told += 1;
    if (told <= toldRows) console.error(`export: ${line}`);
    if (told === toldRows) console.error("export: further rows are counted, and not told");
  };
  try {
    const command = parseExportArguments(process.argv.slice(2), ({ file, row }, reason) =>
      tell(`${file}, row ${row}: ${reason}`),
    );
    if (command === null) {
      console.log(EXPORT_HELP);
      return 0;
    }
    const { record, funnel } = await runExport(command, tell, abort.signal);
    process.stderr.write(renderFunnel(funnel));
    console.error(
      summaryOf(record)
        .map((line) => `export: ${line}`)
        .join("\n"),
    );
    console.log(command.out);
    if (record.counts.conversations === 0) console.error(`export: no conversation was left for ${command.format.name}`);
    return 0;
  } catch (error) {
    if (abort.signal.aborted) {
      console.error("export: interrupted; nothing was left behind");
      return 130;
    }
    if (error instanceof FlagError) {
      console.error(`export: ${error.message} (--help shows every flag)`);
      return 2;
    }
    const isOurs = error instanceof SourceError || error instanceof ExportError || error instanceof EngineError;
    console.error(isOurs ? `export: ${error.message}` : error);
    return 1;
  }
}
