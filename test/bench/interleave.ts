// Takes measurements turn by turn (A B C, B C A, …): what disturbs the machine for a while disturbs all alike.
// It knows neither what is measured nor in which unit.
import type { Runner, RunnerName } from "./runner.ts";

/** Runners still in the race, and why the others left it. */
export interface Field {
  readonly runners: Map<RunnerName, Runner>;
  readonly notMeasured: { readonly runner: RunnerName; readonly reason: string }[];
}

/** Samples by runner, one list a round. A runner that fails is closed and leaves the field. */
export async function interleave(
  field: Field,
  rounds: number,
  measure: (runner: Runner, name: RunnerName) => Promise<number[]>,
): Promise<Map<RunnerName, number[][]>> {
  const samples = new Map<RunnerName, number[][]>();
  for (let round = 0; round < rounds; round += 1) {
    const names = [...field.runners.keys()];
    const first = names.length === 0 ? 0 : round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const result = await attempt(field, name, measure);
      if (result === null) samples.delete(name);
      else samples.set(name, [...(samples.get(name) ?? []), result]);
    }
  }
  return samples;
}

/** Does something with every runner, one after the other; those that fail leave the field. */
export async function each(field: Field, work: (runner: Runner) => Promise<void>): Promise<void> {
  for (const name of field.runners.keys()) await attempt(field, name, work);
}

async function attempt<Result>(
  field: Field,
  name: RunnerName,
  work: (runner: Runner, name: RunnerName) => Promise<Result>,
): Promise<Result | null> {
  const runner = field.runners.get(name);
  if (runner === undefined) return null;
  try {
    return await work(runner, name);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // Without our own figures there is nothing to compare with.
    if (name === "realchat") throw error;
    field.notMeasured.push({ runner: name, reason });
    field.runners.delete(name);
    await runner.close();
    return null;
  }
}
