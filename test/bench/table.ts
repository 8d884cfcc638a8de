// The report as a table for people: our milliseconds, everybody else as a multiple of them.
import { RUNNERS } from "./runner.ts";
import type { RunnerName } from "./runner.ts";
import type { Cell, Report, ShapeReport } from "./report.ts";

const OTHERS = RUNNERS.slice(1);

export function renderTable(report: Report): string {
  const { hardware } = report;
  const lines = [
    `${hardware.cpu}, ${hardware.cores} cores, ${hardware.memoryGiB} GiB, ${hardware.system}; ${report.threads} threads`,
    ...Object.entries(report.versions).map(([name, version]) => `${name}: ${version}`),
    "Others' figures are multiples of our median time, in brackets of our quickest: above 1 they are slower.",
  ];
  if (hardware.busyBefore > 0.1) {
    const percent = Math.round(hardware.busyBefore * 100);
    lines.push(`Something else used ${percent} % of this machine just before: trust ratios only, and repeat.`);
  }
  for (const shape of report.shapes) lines.push("", ...renderShape(shape));
  return `${lines.join("\n")}\n`;
}

function renderShape(shape: ShapeReport): string[] {
  const names = OTHERS.filter((name) => [...shape.decode, ...shape.prefill].some(({ ratios }) => name in ratios));
  const rows: string[][] = [[shape.title, "ours", "", ...names]];
  for (const cell of shape.decode) {
    const rate = (cell.batch * 1000) / medianOf(cell);
    const label = `decode, batch ${cell.batch}, context ${cell.contextTokens}`;
    rows.push([label, `${medianOf(cell).toFixed(2)} ms`, perSecond(rate), ...ratiosOf(cell, names)]);
  }
  for (const cell of shape.prefill) {
    const rate = (cell.promptTokens * 1000) / medianOf(cell);
    const label = `prefill, ${cell.promptTokens} tokens in chunks of ${cell.chunkTokens}`;
    rows.push([label, `${medianOf(cell).toFixed(0)} ms`, perSecond(rate), ...ratiosOf(cell, names)]);
  }
  for (const { sequences, stepMedianMs, tokensPerSecond } of shape.engine) {
    const label = `engine, ${sequences} callers, temperature 0.7`;
    rows.push([label, `${stepMedianMs.toFixed(2)} ms`, perSecond(tokensPerSecond)]);
  }
  return [...align(rows), ...notesOf(shape)];
}

function notesOf(shape: ShapeReport): string[] {
  const notes: string[] = [];
  const padded = shape.decode.find(({ batch }) => batch === 2);
  if (padded !== undefined) {
    const at = `${medianOf(padded).toFixed(2)} ms at context ${padded.contextTokens}`;
    notes.push(`A lone sequence padded to two rows costs the step of batch 2 (${at}).`);
  }
  if (shape.eventLoop !== null) {
    const { sequences, p50Ms, p99Ms, maxMs } = shape.eventLoop;
    const late = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, at most ${maxMs.toFixed(1)} ms`;
    notes.push(`While ${sequences} sequences decode, a 10 ms timer is late by: ${late}.`);
  }
  const [ids] = shape.prefill.map(({ nextIds }) => nextIds);
  const others = OTHERS.filter((name) => ids?.[name] !== undefined && ids[name] !== ids.realchat);
  if (others.length > 0) notes.push(`Other weights than ours, by the next token they choose: ${others.join(", ")}.`);
  for (const { runner, reason } of shape.notMeasured) notes.push(`${runner} not measured: ${reason}`);
  return notes;
}

function medianOf(cell: Cell): number {
  return cell.results.realchat?.median ?? Number.NaN;
}

function ratiosOf(cell: Cell, names: readonly RunnerName[]): string[] {
  return names.map((name) => {
    const ratio = cell.ratios[name];
    return ratio === undefined ? "–" : `${ratio.toFixed(2)} × (${(cell.bestRatios[name] ?? ratio).toFixed(2)})`;
  });
}

function perSecond(rate: number): string {
  return `${rate.toFixed(0)} tok/s`;
}

/** First column to the left, the others to the right. */
function align(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
