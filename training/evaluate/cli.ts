// `npm run evaluate`: benches with judges, held-out perplexity, scaling curves. Owns the process: signals, environment, output.
// Example: npm run evaluate -- answers --bench mt-bench --model realm
import { runCommand } from "./run-command.ts";

const abort = new AbortController();
// Once: a second Ctrl-C ends the process the ordinary way.
process.once("SIGINT", () => abort.abort());
process.once("SIGTERM", () => abort.abort());
const terminal = {
  print: (text: string) => console.log(text),
  note: (text: string) => console.error(text),
};
process.exitCode = await runCommand(process.argv.slice(2), { environment: process.env, terminal }, abort.signal);
