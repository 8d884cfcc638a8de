// Owns how a funnel looks as a table of text, in the manner of the paper's. It counts nothing.
import type { Funnel } from "./funnel.ts";

interface Line {
  readonly step: string;
  readonly left: string;
  readonly gone: string;
  readonly note: string;
}

/** One line a step: what is left, what went, and what was changed or excepted on the way. */
export function renderFunnel(funnel: Funnel): string {
  const lines = [{ step: "step", left: "left", gone: "dropped", note: "" }, ...linesOf(funnel)];
  const width = (field: keyof Line) => Math.max(...lines.map((line) => line[field].length));
  const [step, left, gone] = [width("step"), width("left"), width("gone")];
  return lines
    .map((line) => [line.step.padEnd(step), line.left.padStart(left), line.gone.padStart(gone), line.note])
    .map((cells) => `${cells.join("  ").trimEnd()}\n`)
    .join("");
}

function* linesOf({ rows, steps, split, result, isLimited }: Funnel): Generator<Line> {
  const byFormat = Object.entries(rows.dropped).map(([rule, count]) => `${number(count)} ${rule}`);
  const formatDrops = Object.values(rows.dropped).reduce((sum, count) => sum + count, 0);
  yield {
    step: "rows read",
    left: `${number(rows.conversations)} sessions`,
    gone: number(rows.broken + formatDrops),
    note: [`${number(rows.broken)} broken`, ...byFormat].join(", "),
  };
  for (const step of steps) {
    if (step.unit === "segments") continue;
    yield { step: step.rule, left: `${number(step.out)} sessions`, ...changes(step) };
  }
  if (split !== null) {
    yield {
      step: `split (${split.rule}, ${number(split.maxTokens)} tokens)`,
      left: both(split.segments, split.sessionsOut),
      gone: number(split.sessionsIn - split.sessionsOut),
      note: `${number(split.leftOutTurns)} turns left out, ${number(split.overlongSegments)} segments over the window`,
    };
  }
  for (const step of steps) {
    if (step.unit === "segments")
      yield { step: step.rule, left: both(step.out, step.sessionsOut ?? 0), ...changes(step) };
  }
  const { segments, sessions, startWithUser, startWithAssistant, heldOut } = result;
  const starts = `${number(startWithUser)} start with the user, ${number(startWithAssistant)} with the assistant`;
  const limit = isLimited ? "; stopped at the limit" : "";
  yield {
    step: "result",
    left: both(segments, sessions),
    gone: "",
    note: `${starts}; ${number(heldOut)} held out${limit}`,
  };
}

function changes(step: Funnel["steps"][number]): Pick<Line, "gone" | "note"> {
  const dropped = step.in - step.out;
  const share = step.in === 0 || dropped === 0 ? "" : `${((100 * dropped) / step.in).toFixed(2)} %`;
  const notes = [
    share,
    step.changed === 0 ? "" : `${number(step.changed)} changed`,
    step.exempt === 0 ? "" : `${number(step.exempt)} exempt`,
  ];
  return { gone: number(dropped), note: notes.filter((note) => note !== "").join(", ") };
}

const both = (segments: number, sessions: number) => `${number(segments)} segments / ${number(sessions)} sessions`;
const number = (value: number) => value.toLocaleString("en-US");
