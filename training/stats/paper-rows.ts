// Owns Table 5 as the paper prints it, for reference beside one's own rows. Data.
// Sets of 10,000 dialogues; LLaMA's tokenizer, text-embedding-ada-002, a detector of its own, gpt-3.5-turbo-16k as the judge.
import type { Table5Row } from "../measures/quality-types.ts";
import { table5Columns } from "../measures/table5.ts";

const printed: Readonly<Record<string, readonly number[]>> = {
  RealChat: [5.39, 2182.94, 202.55, 0.7078, 31.65, 0.6727, 8.57, 9.5992, 9.8088],
  "RealChat, Dolly seeds": [8.3, 2003.11, 120.53, 0.7002, 28.79, 0.5456, 8.5243, 9.6778, 9.857],
  "RealChat, WizardLM seeds": [3.79, 2112.26, 278.81, 0.714, 57.75, 0.3653, 9.0068, 9.741, 9.8837],
  Baize: [3.79, 264.12, 34.56, 0.719, 28.33, 0.1758, 7.8042, 9.3981, 9.7702],
  UltraChat: [3.85, 1441.99, 187.24, 0.7158, 76.46, 0.1157, 8.4256, 9.5607, 9.816],
  ShareGPT: [3.07, 1136.71, 185.15, 0.7016, 35.54, 0.8358, 7.9171, 9.2101, 9.6184],
};

export interface NamedRow extends Table5Row {
  readonly name: string;
}

export const paperRows: readonly NamedRow[] = Object.entries(printed).map(([name, values]) => {
  const columns = table5Columns.map((column, index) => [column, values[index] ?? null] as const);
  return Object.fromEntries([["name", name], ["dialogues", 10_000], ...columns]) as NamedRow;
});
