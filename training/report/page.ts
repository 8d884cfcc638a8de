// Owns the page of a report: one file that asks nothing of a network and runs no script, in dark or light as its reader likes.
// It does not know what is reported.
import { html, type Markup, trustedMarkup } from "./markup.ts";

export interface Section {
  readonly title: string;
  readonly note?: string;
  readonly content: readonly Markup[];
}

export interface PageText {
  readonly title: string;
  /** What was looked at, and with what. */
  readonly summary: string;
}

const style = trustedMarkup(`<style>
:root { color-scheme: light dark; --paper: #fcfcfb; --card: #fff; --ink: #1b1d21; --quiet: #5c626c; --grid: #dfe1e5; --warn: #8a3b00;
  --warn-paper: #fff4e8; --series-1: #1f6fb2; --series-2: #c8501e; --series-3: #2a8a57; --series-4: #8a4fb0; --series-5: #9a7400; --series-6: #56606e; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --card: #1e2126; --ink: #e8e9eb; --quiet: #a3a9b3; --grid: #3a3f47; --warn: #ffb979;
  --warn-paper: #3a2a1a; --series-1: #6db3f2; --series-2: #ff9466; --series-3: #62c891; --series-4: #c79be6; --series-5: #e0b93c; --series-6: #aeb7c4; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; }
p { margin: .4rem 0; max-width: 78ch; } .note, .summary { color: var(--quiet); } figcaption .note { display: block; font-size: .9rem; }
.cards { display: grid; gap: 1.1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); margin-top: .9rem; align-items: start; }
.cards > * { min-width: 0; } .cards > .scroll, .cards > ul, .cards > .wide { grid-column: 1 / -1; } .cards > ul { margin: 0; }
figure { margin: 0; padding: 1rem 1rem .7rem; background: var(--card); border: 1px solid var(--grid); border-radius: 10px; }
.plot { overflow-x: auto; } .plot svg { display: block; width: 100%; min-width: 29rem; max-width: 44rem; height: auto; } .legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; margin: .4rem 0 0; padding: 0; font-size: .9rem; }
summary { cursor: pointer; color: var(--quiet); font-size: .9rem; } summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--series-1); outline-offset: 2px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; background: var(--card); }
details .scroll { max-height: 22rem; overflow-y: auto; margin-top: .5rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; caption-side: top; background: var(--paper); } details caption { background: var(--card); font-weight: 400; color: var(--quiet); }
caption span { display: inline-block; position: sticky; left: 0; max-width: calc(100vw - 2.5rem); } details caption span { max-width: calc(100vw - 5rem); }
th, td { border-bottom: 1px solid var(--grid); padding: .3rem .6rem; text-align: left; vertical-align: top; overflow-wrap: normal; } thead th { vertical-align: bottom; color: var(--quiet); font-weight: 600; }
tbody th { font-weight: 500; max-width: 28rem; min-width: min(11rem, 36vw); overflow-wrap: anywhere; } thead .number, td.number { text-align: right; } td.number { white-space: nowrap; }
.cards > .alarms { padding: .7rem 1rem .7rem 2.2rem; background: var(--warn-paper); color: var(--warn); border-radius: 10px; }
pre { margin: .5rem 0; overflow-x: auto; font-size: .85rem; }
@media print { body { max-width: none; } figure { break-inside: avoid; } }
</style>`);

/** A whole document. Its policy lets nothing run and nothing load, whatever a data set holds. */
export function reportPage({ title, summary }: PageText, sections: readonly Section[]): string {
  const body = sections.map(
    ({ title: heading, note, content }) =>
      html`<section>
        <h2>${heading}</h2>
        ${note === undefined ? [] : html`<p class="note">${note}</p>`}
        <div class="cards">${content}</div>
      </section> `,
  );
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${style}
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          <p class="summary">${summary}</p>
          ${body}
        </main>
      </body>
    </html> `;
  return page.source;
}
