// Prints the table of options for people: the text of --help and the README's configuration table.
// It knows the table alone, neither the values in force nor where they came from.
import { type ConfigOption, configOptions } from "./config-options.ts";

/** The text of `--help`. */
export function helpText(): string {
  const rows = configOptions
    .filter((option) => option.flag !== null)
    .map((option) => [
      `  --${option.flag} ${placeholder(option)}`,
      `${plain(option.meaning)} [${plain(shownDefault(option))}]`,
    ]);
  const width = Math.max(...rows.map(([left]) => left?.length ?? 0));
  const lines = rows.map(([left = "", right = ""]) => `${left.padEnd(width)}  ${right}`);
  const secrets = configOptions.filter((option) => option.flag === null);
  return [
    "Usage: npm start -- [options]",
    "",
    "Serves the models of a folder over the OpenAI API.",
    "",
    ...lines,
    `${"  --config FILE".padEnd(width)}  JSON file with any of these settings, and with upstreams (docs/upstreams.md); flags and environment win over it.`,
    `${"  --help".padEnd(width)}  This text.`,
    "",
    "Every option can also be set in the environment, as REALCHAT_PORT for --port. Only there:",
    ...secrets.map((option) => `${`  ${option.env}`.padEnd(width)}  ${plain(option.meaning)}`),
    "",
  ].join("\n");
}

/** The README's configuration table, in Markdown. */
export function configTable(): string {
  const rows = configOptions.map((option) => {
    const flag = option.flag === null ? "–" : `\`--${option.flag}\``;
    const key = option.flag === null ? "–" : `\`${option.key}\``;
    return `| ${flag} | \`${option.env}\` | ${key} | ${shownDefault(option)} | ${option.meaning} |`;
  });
  return ["| Flag | Environment | In the file | Default | Meaning |", "| --- | --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

function placeholder(option: ConfigOption): string {
  if (option.kind === "integer") return "NUMBER";
  if (option.kind === "paths") return "FOLDER ...";
  return option.kind === "list" ? "VALUE ..." : "VALUE";
}

function shownDefault(option: ConfigOption): string {
  if (option.fallbackText !== undefined) return option.fallbackText;
  return Array.isArray(option.fallback) ? "none" : `\`${String(option.fallback)}\``;
}

const plain = (markdown: string) => markdown.replaceAll("`", "");
