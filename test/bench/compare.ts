// Measures one shape: opens every program on the same weights, then decode and prefill, cell by cell.
// It knows what is asked of programs and in which order; how each answers is in runners/.
import { installOpponent } from "./opponents.ts";
import type { BenchFlags } from "./flags.ts";
import { each, interleave } from "./interleave.ts";
import type { Field } from "./interleave.ts";
import type { Cell, DecodeCell, PrefillCell } from "./report.ts";
import { openRunnerProcess } from "./runner-process.ts";
import type { Artifacts, Runner, RunnerName } from "./runner.ts";
import { contextsFor } from "./shapes.ts";
import type { BenchShape } from "./shapes.ts";
import { pairedRatio, summarize } from "./statistics.ts";

export interface Comparison {
  readonly decode: readonly DecodeCell[];
  readonly prefill: readonly PrefillCell[];
  readonly notMeasured: Field["notMeasured"];
  readonly versions: Readonly<Record<string, string>>;
}

const PROMPT_TOKENS = 512;
const CHUNKS_TOKENS = [128, 512];
const PREFILL_ROUNDS = 3;

export async function compare(
  shape: BenchShape,
  artifacts: Artifacts,
  flags: BenchFlags,
  opponentsFolder: string,
  say: (line: string) => void,
): Promise<Comparison> {
  const field: Field = { runners: new Map(), notMeasured: [] };
  const versions: Record<string, string> = {};
  try {
    for (const name of flags.runners) {
      const reason = await enter(field, name, shape, artifacts, flags, opponentsFolder, say);
      if (reason === null) versions[name] = field.runners.get(name)?.description ?? "";
      else field.notMeasured.push({ runner: name, reason });
    }
    const decode: DecodeCell[] = [];
    for (const contextTokens of contextsFor(shape, flags.contexts)) {
      for (const batch of flags.batches) {
        say(`${shape.id}: decode, batch ${batch}, context ${contextTokens}`);
        decode.push({ batch, contextTokens, ...(await decodeCell(field, batch, contextTokens, flags)) });
      }
    }
    const prefill: PrefillCell[] = [];
    for (const chunkTokens of CHUNKS_TOKENS) {
      say(`${shape.id}: prefill, ${PROMPT_TOKENS} tokens in chunks of ${chunkTokens}`);
      const cell = await prefillCell(field, chunkTokens);
      prefill.push({ promptTokens: PROMPT_TOKENS, chunkTokens, ...cell });
    }
    return { decode, prefill, notMeasured: field.notMeasured, versions };
  } finally {
    for (const runner of field.runners.values()) await runner.close();
  }
}

/** Null when the runner is open, otherwise why it is not. Ours must open. */
async function enter(
  field: Field,
  name: RunnerName,
  shape: BenchShape,
  artifacts: Artifacts,
  flags: BenchFlags,
  opponentsFolder: string,
  say: (line: string) => void,
): Promise<string | null> {
  const obstacle = await installOpponent(name, opponentsFolder, say);
  if (obstacle !== null) return obstacle;
  try {
    const { sizes, windowTokens } = shape;
    const options = { artifacts, sizes, windowTokens, threads: flags.threads, opponentsFolder };
    field.runners.set(name, await openRunnerProcess(name, options));
    return null;
  } catch (error) {
    if (name === "realchat") throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

async function decodeCell(field: Field, batch: number, contextTokens: number, flags: BenchFlags): Promise<Cell> {
  const sliceMs = (flags.seconds * 1000) / flags.rounds;
  await each(field, async (runner) => {
    await runner.prepareDecode(batch, contextTokens);
    // The first steps choose kernels, touch memory and fill arenas.
    await runner.decode(sliceMs / 4);
  });
  return toCell(await interleave(field, flags.rounds, (runner) => runner.decode(sliceMs)));
}

async function prefillCell(field: Field, chunkTokens: number): Promise<Cell & Pick<PrefillCell, "nextIds">> {
  const nextIds = new Map<RunnerName, number>();
  const prefill = async (runner: Runner, name: RunnerName): Promise<number[]> => {
    const { ms, nextId } = await runner.prefill(PROMPT_TOKENS, chunkTokens);
    nextIds.set(name, nextId);
    return [ms];
  };
  await each(field, async (runner) => void (await runner.prefill(chunkTokens, chunkTokens)));
  const samples = await interleave(field, PREFILL_ROUNDS, prefill);
  return { ...toCell(samples), nextIds: Object.fromEntries(nextIds) };
}

function toCell(samples: ReadonlyMap<RunnerName, readonly (readonly number[])[]>): Cell {
  const results = new Map([...samples].map(([name, rounds]) => [name, summarize(rounds)] as const));
  const ours = samples.get("realchat");
  const ourBest = results.get("realchat")?.min;
  if (ours === undefined || ourBest === undefined) throw new Error("our own program was not measured");
  const others = [...samples].filter(([name]) => name !== "realchat");
  return {
    results: Object.fromEntries(results),
    ratios: Object.fromEntries(others.map(([name, rounds]) => [name, pairedRatio(rounds, ours)])),
    bestRatios: Object.fromEntries(others.map(([name]) => [name, results.get(name)!.min / ourBest])),
  };
}
