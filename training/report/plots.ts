// Owns the plots that reports are made of: bars, histograms, lines and radars, each a whole figure with title and table.
// It knows numbers and names, not what they measure.
import { type ChartOption, gridColour, inkColour, quietColour, renderChart, seriesStyle } from "./chart.ts";
import { figure, type FigureText, formatNumber, type Row } from "./figure.ts";
import type { Markup } from "./markup.ts";

/** One value for each category, axis or x; null where there is none. */
export interface Series<Value = number | null> {
  readonly name: string;
  readonly values: readonly Value[];
}

/** Values from `from` up to, but not including, `to`; null: all from there on. */
export interface Bin {
  readonly from: number;
  readonly to: number | null;
  readonly count: number;
}

const width = 600;
const height = 290;
const rowHeight = 26;
const longestLabel = 36;

interface BarText extends FigureText {
  /** What the bars stand for, with its unit. */
  readonly valueName: string;
  readonly categoryName: string;
}

/** Upright bars for few categories; several series stand side by side. */
export function columnPlot(text: BarText, categories: readonly string[], series: readonly Series[]): Markup {
  return barFigure(text, categories, series, {
    option: {
      grid: { left: 64, right: 16, top: 28, bottom: 52 },
      xAxis: { ...categoryAxis(categories), name: text.categoryName, nameLocation: "middle", nameGap: 32 },
      yAxis: valueAxis(text.valueName, "end"),
    },
    height,
  });
}

/** Lying bars from the top down, for many categories or long names. */
export function rowPlot(text: BarText, categories: readonly string[], series: readonly Series[]): Markup {
  const labels = categories.map(shortened);
  const needed = categories.length * Math.max(rowHeight, 12 * series.length) + 64;
  return barFigure(text, categories, series, {
    option: {
      grid: { left: labelWidth(labels), right: 28, top: 8, bottom: 48 },
      yAxis: { ...categoryAxis(labels), inverse: true },
      xAxis: { ...valueAxis(text.valueName, "middle"), nameGap: 30 },
    },
    height: needed,
  });
}

/** The same bins for every series; bars stand for shares of each series' whole, so that large and small sources compare. */
export function histogramPlot(
  text: FigureText & { readonly unit: string },
  series: readonly { readonly name: string; readonly bins: readonly Bin[] }[],
): Markup {
  const labels = series[0]?.bins.map(binLabel) ?? [];
  const isSparse = labels.length > 16;
  const shares = series.map(({ name, bins }) => {
    const whole = bins.reduce((sum, { count }) => sum + count, 0);
    return { name, values: bins.map(({ count }) => (whole === 0 ? 0 : (count / whole) * 100)) };
  });
  const option = {
    grid: { left: 56, right: 16, top: 28, bottom: 52 },
    xAxis: {
      ...categoryAxis(labels),
      name: text.unit,
      nameLocation: "middle",
      nameGap: 32,
      axisLabel: {
        color: inkColour,
        hideOverlap: true,
        ...(isSparse ? { interval: Math.ceil(labels.length / 9) - 1 } : {}),
      },
    },
    yAxis: valueAxis("share in %", "end"),
    series: bars(shares, series.length === 1 ? 4 : 8),
  };
  const counts = series.map(({ name, bins }) => ({ name, values: bins.map(({ count }) => count) }));
  const rows = tableRows(labels, counts);
  const table = { caption: text.title, columns: [text.unit, ...series.map(({ name }) => name)], rows };
  return figure(
    text,
    renderChart(option, { width, height }),
    series.map(({ name }) => name),
    table,
  );
}

/** Points joined by lines over a numeric axis, such as a score over the size of a data set; null leaves a gap. */
export function linePlot(
  text: FigureText & { readonly xName: string; readonly yName: string; readonly isFromZero?: boolean },
  xs: readonly number[],
  series: readonly Series[],
): Markup {
  const option = {
    grid: { left: 64, right: 36, top: 28, bottom: 52 },
    xAxis: {
      ...valueAxis(text.xName, "middle"),
      nameGap: 32,
      scale: true,
      splitLine: { show: false },
      axisLine: { show: true, lineStyle: { color: gridColour } },
    },
    yAxis: { ...valueAxis(text.yName, "end"), scale: text.isFromZero !== true },
    series: series.map(({ name, values }, index) => {
      const { colour, symbol, dash } = seriesStyle(index);
      return {
        type: "line",
        name,
        silent: true,
        symbol,
        symbolSize: 8,
        data: xs.map((x, at) => [x, values[at] ?? null]),
        lineStyle: { color: colour, width: 2, type: dash },
        itemStyle: { color: colour },
      };
    }),
  };
  const rows = tableRows(xs, series);
  const table = { caption: text.title, columns: [text.xName, ...series.map(({ name }) => name)], rows };
  return figure(
    text,
    renderChart(option, { width, height }),
    series.map(({ name }) => name),
    table,
  );
}

/** Several profiles over the same axes, all from 0 to `max`; needs three axes, and a value on each. */
export function radarPlot(
  text: FigureText & { readonly max: number },
  axes: readonly string[],
  series: readonly Series<number>[],
): Markup {
  const option = {
    radar: {
      indicator: axes.map((name) => ({ name: shortened(name), max: text.max })),
      radius: "68%",
      axisName: { color: inkColour, fontSize: 12 },
      splitArea: { show: false },
      splitLine: { lineStyle: { color: gridColour } },
      axisLine: { lineStyle: { color: gridColour } },
    },
    series: series.map(({ name, values }, index) => {
      const { colour, symbol, dash } = seriesStyle(index);
      return {
        type: "radar",
        silent: true,
        symbol,
        symbolSize: 7,
        data: [{ name, value: [...values] }],
        lineStyle: { color: colour, width: 2, type: dash },
        itemStyle: { color: colour },
        areaStyle: { color: colour, opacity: 0.08 },
      };
    }),
  };
  const rows = tableRows(axes, series);
  const table = { caption: text.title, columns: ["", ...series.map(({ name }) => name)], rows };
  const note = `${text.note === undefined ? "" : `${text.note} `}From 0 in the middle to ${formatNumber(text.max)} at the rim.`;
  const chart = renderChart(option, { width, height: 360 });
  return figure(
    { title: text.title, note },
    chart,
    series.map(({ name }) => name),
    table,
  );
}

function barFigure(
  text: BarText,
  categories: readonly string[],
  series: readonly Series[],
  plot: { readonly option: ChartOption; readonly height: number },
): Markup {
  const chart = renderChart({ ...plot.option, series: bars(series, 20) }, { width, height: plot.height });
  const names = series.map(({ name }) => name);
  const rows = tableRows(categories, series);
  const columns = [text.categoryName, ...(names.length === 1 ? [text.valueName] : names)];
  return figure(text, chart, names, { caption: text.title, columns, rows });
}

function tableRows(heads: readonly (string | number)[], series: readonly Series[]): Row[] {
  return heads.map((head, at) => {
    const row: (string | number | null)[] = [head];
    for (const { values } of series) row.push(values[at] ?? null);
    return row;
  });
}

function bars(series: readonly Series[], gapPercent: number) {
  return series.map(({ name, values }, index) => ({
    type: "bar",
    name,
    silent: true,
    data: [...values],
    barCategoryGap: `${gapPercent}%`,
    barGap: "0%",
    itemStyle: { color: seriesStyle(index).colour },
  }));
}

function categoryAxis(labels: readonly string[]) {
  return {
    type: "category",
    data: [...labels],
    nameTextStyle: { color: quietColour },
    axisLabel: { color: inkColour, interval: labels.length > 24 ? "auto" : 0 },
    axisTick: { show: false },
    axisLine: { lineStyle: { color: gridColour } },
  };
}

function valueAxis(name: string, nameLocation: "middle" | "end") {
  return {
    type: "value",
    name,
    nameLocation,
    axisTick: { show: false },
    axisLine: { show: false },
    nameTextStyle: {
      color: quietColour,
      ...(nameLocation === "end" ? { align: "left", padding: [0, 0, 0, -44] } : {}),
    },
    axisLabel: { color: inkColour, formatter: formatNumber, hideOverlap: true },
    splitLine: { lineStyle: { color: gridColour } },
  };
}

/** Bins of one whole number are called by it. */
function binLabel({ from, to }: Bin): string {
  if (to === null) return `≥ ${formatNumber(from)}`;
  return to - from <= 1 ? formatNumber(from) : `${formatNumber(from)}–${formatNumber(to - 1)}`;
}

function shortened(label: string): string {
  const characters = Array.from(label.replaceAll(/\s+/g, " "));
  return characters.length <= longestLabel ? characters.join("") : `${characters.slice(0, longestLabel - 1).join("")}…`;
}

/** By the rule of thumb of seven pixels a character. */
function labelWidth(labels: readonly string[]): number {
  return 16 + 7 * Math.max(4, ...labels.map((label) => Array.from(label).length));
}
