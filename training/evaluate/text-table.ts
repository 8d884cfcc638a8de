// Owns tables for a terminal that are also Markdown: columns padded, numbers to the right. It does not know what they show.

/** One cell; null where there is no value. */
export type Cell = string | number | null;

/** Numbers are shown with `digits` decimals, whole ones with none. */
export function textTable(columns: readonly string[], rows: readonly (readonly Cell[])[], digits = 2): string {
  const shown = rows.map((row) => columns.map((_, index) => show(row[index] ?? null, digits)));
  const isNumeric = columns.map((_, index) => rows.some((row) => typeof row[index] === "number"));
  const widths = columns.map((name, index) => Math.max(3, name.length, ...shown.map((row) => row[index]!.length)));
  const line = (cells: readonly string[]) => {
    const padded = cells.map((cell, index) =>
      isNumeric[index] === true ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!),
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, index) =>
    isNumeric[index] === true ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  return [line(columns), line(rule), ...shown.map(line)].join("\n");
}

function show(cell: Cell, digits: number): string {
  if (cell === null) return "–";
  if (typeof cell === "string") return cell.replaceAll(/[|\n]/g, " ");
  return Number.isInteger(cell) ? String(cell) : cell.toFixed(digits);
}
