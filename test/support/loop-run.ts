// A loop over the embedded pair that is as small as one can be: two short dialogues, two steps, four held-out dialogues.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MODELS_FOLDER } from "./engine.ts";

/** Writes held-out dialogues into the folder; gives the command line of a loop with its run in `folder/run`. */
export async function tinyLoop(folder: string, ...more: readonly string[]): Promise<string[]> {
  const heldout = join(folder, "human.jsonl");
  const rows = ["San Jose", "Oakland", "Napa", "Fresno"].map((city) => ({
    messages: [
      { role: "user", content: "I need a table for two." },
      { role: "assistant", content: "Where shall it be?" },
      { role: "user", content: `In ${city}, please.` },
      { role: "assistant", content: "I have found one." },
    ],
  }));
  await writeFile(heldout, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return [
    `--user=${join(MODELS_FOLDER, "usergpt")}`,
    `--assistant=${join(MODELS_FOLDER, "realm")}`,
    `--heldout=${heldout}`,
    `--run-folder=${join(folder, "run")}`,
    "--rounds=1",
    "--count=2",
    "--max-turns=2",
    "--holdout=0",
    "--max-steps=2",
    "--checkpoint-every=1",
    "--batch-tokens=512",
    "--lr=1e-4",
    "--least-pairs=4",
    "--threads=1",
    ...more,
  ];
}
