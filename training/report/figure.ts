// Owns what surrounds a plot on a page: its title, its legend, and the same figures as a table for whoever cannot see it.
// It knows no chart library.
import { seriesStyle } from "./chart.ts";
import { html, type Markup } from "./markup.ts";

/** Cells of one row; null where there is no value. Numbers are aligned and written in full. */
export type Row = readonly (string | number | null)[];

export interface TableText {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** A table; the first cell of a row is its heading. */
export function dataTable({ caption, columns, rows }: TableText): Markup {
  const head = columns.map((column, index) => {
    const isNumeric = index > 0 && rows.every((row) => isFigure(row[index] ?? null));
    return isNumeric ? html`<th scope="col" class="number">${column}</th>` : html`<th scope="col">${column}</th>`;
  });
  const body = rows.map(([first = "", ...rest]) => {
    const cells = rest.map((cell) =>
      isFigure(cell)
        ? html`<td class="number">${typeof cell === "number" ? formatNumber(cell) : (cell ?? "–")}</td>`
        : html`<td>${cell ?? "–"}</td>`,
    );
    const heading = typeof first === "number" ? formatNumber(first) : (first ?? "–");
    return html`<tr>
      <th scope="row">${heading}</th>
      ${cells}
    </tr> `;
  });
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        <span>${caption}</span>
      </caption>
      <thead>
        <tr>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div>`;
}

/** Numbers, also those that were written out already, and dashes in their place. */
function isFigure(cell: string | number | null): boolean {
  return typeof cell !== "string" || /^(?:–|[-−]?[\d,.]+(?: %)?)$/.test(cell);
}

export interface FigureText {
  readonly title: string;
  /** What there is to see, or how it was counted. */
  readonly note?: string;
}

/** A plot with its title, a legend where there are several series, and its figures as a table that can be opened. */
export function figure(text: FigureText, chart: Markup, seriesNames: readonly string[], table: TableText): Markup {
  const legend = seriesNames.map((name, index) => {
    const { colour, glyph } = seriesStyle(index);
    return html`<li><span style="color: ${colour}" aria-hidden="true">${glyph}</span> ${name}</li>`;
  });
  return html`<figure>
    <figcaption>
      <strong>${text.title}</strong>
      ${text.note === undefined ? [] : html`<span class="note">${text.note}</span>`}
    </figcaption>
    ${
      legend.length < 2
        ? []
        : html`<ul class="legend">
            ${legend}
          </ul>`
    }
    <div class="plot" role="img" aria-label="${text.title}. The figures are in the table below.">${chart}</div>
    <details>
      <summary>Figures as a table</summary>
      ${dataTable(table)}
    </details>
  </figure>`;
}

/** Four significant digits below a thousand, whole numbers above. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}
