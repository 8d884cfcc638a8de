// Owns the one place that speaks to ECharts: an option becomes SVG on the server, in the page's own colours, without a script.
// It does not know what is plotted.
import { createHash } from "node:crypto";
import { BarChart, LineChart, RadarChart } from "echarts/charts";
import { GridComponent, RadarComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { type Markup, trustedMarkup } from "./markup.ts";

use([BarChart, LineChart, RadarChart, GridComponent, RadarComponent, SVGRenderer]);

export type ChartOption = EChartsCoreOption;

/** Variables of the page's style sheet, so that a plot follows its dark and light scheme. */
export const inkColour = "var(--ink)";
export const quietColour = "var(--quiet)";
export const gridColour = "var(--grid)";

/** As many as there are colours and symbols; later series begin again. */
const seriesStyles = [
  { colour: "var(--series-1)", symbol: "circle", glyph: "●", dash: "solid" },
  { colour: "var(--series-2)", symbol: "rect", glyph: "■", dash: "dashed" },
  { colour: "var(--series-3)", symbol: "triangle", glyph: "▲", dash: "solid" },
  { colour: "var(--series-4)", symbol: "diamond", glyph: "◆", dash: "dotted" },
  { colour: "var(--series-5)", symbol: "emptyCircle", glyph: "○", dash: "dashed" },
  { colour: "var(--series-6)", symbol: "emptyRect", glyph: "□", dash: "solid" },
] as const;

export function seriesStyle(index: number) {
  return seriesStyles[index % seriesStyles.length] ?? seriesStyles[0];
}

/** Hidden from screen readers: whoever shows it puts a name and a table beside it. The same option gives the same bytes. */
export function renderChart(option: ChartOption, size: { readonly width: number; readonly height: number }): Markup {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...size });
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: "inherit", color: inkColour }, ...option });
    const svg = chart.renderToSVGString({ useViewBox: true });
    // What is left of its styles only matters for pointers, of which a drawing takes no notice.
    const drawing = svg
      .replaceAll(/<style\b.*?<\/style>/gs, "")
      .replace("<svg ", '<svg aria-hidden="true" focusable="false" ');
    return trustedMarkup(withOwnIds(drawing));
  } finally {
    // Else its timers keep the process alive.
    chart.dispose();
  }
}

/**
 * ECharts numbers classes and clips in the order of their making. Classes go, as their styles did; clips are named by the drawing's
 * content, so that two drawings of a page do not share them and a page can be made again.
 */
function withOwnIds(drawing: string): string {
  const bare = drawing.replaceAll(/ class="zr\d+-cls-\d+"/g, "");
  const clips = /(id="|url\(#)zr\d+-/g;
  const name = createHash("sha256").update(bare.replaceAll(clips, "$1")).digest("hex").slice(0, 12);
  return bare.replaceAll(clips, `$1c${name}-`);
}
