// Measures us beside others on one machine, in one run: progress and a table on standard error, one JSON document as the
// last line of standard output. It knows the order of things only.
import { join } from "node:path";
import { prepareArtifacts } from "./artifacts.ts";
import { compare } from "./compare.ts";
import { measureEventLoop, measureThroughput, withEngine } from "./engine-load.ts";
import { parseFlags, USAGE } from "./flags.ts";
import type { BenchFlags } from "./flags.ts";
import { readHardware } from "./report.ts";
import type { EngineLoad, EventLoopDelay, Report, ShapeReport } from "./report.ts";
import type { BenchShape } from "./shapes.ts";
import { renderTable } from "./table.ts";

const cacheFolder = join(import.meta.dirname, "..", "..", ".cache", "bench");
/** The large shape takes long enough as it is. */
const ENGINE_SHAPES = new Set(["pair", "135m"]);
const ENGINE_SEQUENCES = [1, 8, 16];
const EVENT_LOOP_SHAPE = "135m";
const EVENT_LOOP_SEQUENCES = 8;

function say(line: string): void {
  console.error(line);
}

async function measureEngine(
  shape: BenchShape,
  modelFolder: string,
  flags: BenchFlags,
): Promise<{ engine: EngineLoad[]; eventLoop: EventLoopDelay | null }> {
  if (!ENGINE_SHAPES.has(shape.id)) return { engine: [], eventLoop: null };
  return withEngine(modelFolder, flags.threads, async (watched) => {
    const loads: EngineLoad[] = [];
    for (const sequences of ENGINE_SEQUENCES) {
      say(`${shape.id}: engine, ${sequences} callers`);
      loads.push(await measureThroughput(watched, sequences, flags.seconds * 2));
    }
    if (shape.id !== EVENT_LOOP_SHAPE) return { engine: loads, eventLoop: null };
    say(`${shape.id}: event loop, ${EVENT_LOOP_SEQUENCES} sequences`);
    return { engine: loads, eventLoop: await measureEventLoop(watched, EVENT_LOOP_SEQUENCES, flags.seconds * 2) };
  });
}

async function main(flags: BenchFlags): Promise<void> {
  const startedAt = new Date().toISOString();
  const hardware = await readHardware();
  const versions: Record<string, string> = { node: process.version };
  const shapes: ShapeReport[] = [];
  for (const shape of flags.shapes) {
    const artifacts = await prepareArtifacts(shape, flags.blockSize, cacheFolder, say);
    const opponentsFolder = join(cacheFolder, "opponents");
    const { versions: found, ...comparison } = await compare(shape, artifacts, flags, opponentsFolder, say);
    Object.assign(versions, found);
    const { id, title, precision, modelFolder } = shape;
    const engine = await measureEngine(shape, artifacts.modelFolder, flags);
    const blockSize = modelFolder === null ? flags.blockSize : null;
    shapes.push({ id, title, precision, blockSize, ...comparison, ...engine });
  }
  const { threads, rounds } = flags;
  const report: Report = { bench: "realchat", startedAt, hardware, versions, threads, rounds, shapes };
  say(`\n${renderTable(report)}`);
  console.log(JSON.stringify(report));
}

try {
  const flags = parseFlags(process.argv.slice(2));
  if (flags === null) console.log(USAGE);
  else await main(flags);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
