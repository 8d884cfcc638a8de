// Owns the table of what a training came to, step by step, in the columns that OpenAI's results files have. Accuracies are not
// measured, and their columns are empty. It reads events and writes nothing.
import type { Queryable } from "../store/database.ts";
import { eventsAfter } from "../work/event-rows.ts";
import { tuningTables } from "./records.ts";

const head = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n";
const pageSize = 1000;

/** The lines, a page of steps at a time. */
export async function* resultLines(database: Queryable, jobId: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from(head);
  let after = 0;
  for (;;) {
    const events = await eventsAfter(database, tuningTables, jobId, { limit: pageSize, after, type: "metrics" });
    if (events.length === 0) return;
    const lines = events.map(({ data }) => {
      const { step, train_loss: train, valid_loss: valid } = data ?? {};
      return `${cell(step)},${cell(train)},,${cell(valid)},\n`;
    });
    yield Buffer.from(lines.join(""));
    after = events.at(-1)?.id ?? after;
  }
}

const cell = (value: unknown) => (typeof value === "number" ? String(value) : "");
