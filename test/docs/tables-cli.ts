// `npm run docs`: prints the tables that the documentation takes from the code into the Markdown files.
// It knows no table; tables.ts does.
import { readFile, writeFile } from "node:fs/promises";
import { documents, withTables } from "./tables.ts";

for (const file of Object.keys(documents)) {
  const path = new URL(`../../${file}`, import.meta.url);
  const text = await readFile(path, "utf8");
  const filled = await withTables(file, text);
  if (filled !== text) await writeFile(path, filled);
  console.log(`${file}: ${filled === text ? "as it was" : "written"}`);
}
