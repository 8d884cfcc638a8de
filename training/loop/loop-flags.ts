// Owns the flags of `npm run loop`, what each means, and the help that lists them. It checks no value.
import { RECIPE_FLAGS } from "../train/recipe-flags.ts";

interface LoopFlag {
  readonly kind: "text" | "list" | "switch";
  readonly argument?: string;
  readonly help: string;
}

const text = (argument: string, help: string): LoopFlag => ({ kind: "text", argument, help });
const list = (argument: string, help: string): LoopFlag => ({ kind: "list", argument, help });
const toggle = (help: string): LoopFlag => ({ kind: "switch", help });

export const LOOP_FLAGS: Readonly<Record<string, LoopFlag>> = {
  rounds: text("N", "Rounds in all; may be another number when a run goes on"),
  user: text("MODEL", "Who plays the user in the first round: an id in models/, or a folder [usergpt]"),
  assistant: text("MODEL", "Who plays the assistant [realm]"),
  role: text("ROLE", "Whose model is trained: user, assistant or both [both]"),
  count: text("N", "Dialogues of a round"),
  heldout: list("FILE", "Human dialogues that no training saw; may be given again"),
  "heldout-limit": text("N", "At most so many dialogues of each of them, drawn with --seed [all]"),
  "run-folder": text("RUN", "Where everything goes [runs/NAME]"),
  out: text("FOLDER", "Where accepted models go, and no others [RUN/models]"),
  name: text("NAME", "Of the run; accepted models are called ft:MODEL:NAME-ROUND [loop]"),
  resume: toggle("Go on with the run in --run-folder"),
  verify: toggle("Only look whether every file of the run is what its records say"),
  url: text("URL", "Play on a running gateway that serves the models of --out [one of its own]"),
  seed: text("N", "Decides the dialogues, the order of examples and the intervals [1]"),
  "max-turns": text("N", "Most rounds of a dialogue [other rules end it]"),
  selfplay: text("FILE", "JSON with further fields of the request for a self-play job, such as sampling or seeds"),
  "stop-reasons": text("LIST", "Ends after which a dialogue is kept [window,max_turns,end_token,empty_turn,judge]"),
  "least-rounds": text("N", "Fewest rounds of a dialogue that is kept [2]"),
  "least-characters": text("N", "Fewest characters of a dialogue that is kept [1]"),
  "most-characters": text("N", "Most characters of a dialogue that is kept [no limit]"),
  without: list("RULE", "A filter rule to leave out; may be given again"),
  "learn-end": toggle("The user model also learns to end dialogues that came to their end"),
  holdout: text("SHARE", "Share of the kept dialogues that only chooses the best weights [0.05]"),
  gate: text("RULE", "not-worse, better or any: what held-out figures a model needs to be accepted [not-worse]"),
  margin: text("BITS", "Bits a byte by which a model may be worse under --gate not-worse [0.01]"),
  judge: text(
    "MODEL",
    "Also compares a trained assistant's answers with its parent's: a model at --judge-url, or a folder [nobody]",
  ),
  "judge-url": text("URL", "OpenAI-compatible endpoint of the judge; its key is $REALCHAT_JUDGE_KEY"),
  "judge-questions": text("N", "First questions of held-out dialogues that both answer [20]"),
  "least-pairs": text("N", "Fewest held-out dialogues to compare [20]"),
  device: text("DEVICE", "cpu, cuda or auto, for playing, training and scoring [cpu]"),
  threads: text("N", "CPU threads [all]"),
  help: toggle("This text"),
};

/** Flags of `npm run train` with --recipe onnx that decide how a round's models are trained. */
export const HANDED_ON = [
  "method",
  "lora-rank",
  "lora-alpha",
  "epochs",
  "max-steps",
  "batch-tokens",
  "accumulate",
  "lr",
  "min-lr-ratio",
  "warmup",
  "weight-decay",
  "clip",
  "context",
  "gradient-checkpointing",
  "evaluate-every",
  "patience",
  "checkpoint-every",
  "keep",
  "reference-examples",
  "ignore-memory",
] as const;

export const LOOP_HELP = `Usage: npm run loop -- --rounds N --count DIALOGUES --heldout FILE [options]

Lets the two models talk, keeps the good dialogues, trains on them, and lets a trained model take its parent's place if it finds
held-out human dialogues no harder than before; round after round. Interrupted or killed, the same command with --resume goes on.

${Object.entries(LOOP_FLAGS).map(loopLine).join("\n")}

The training (as in npm run train, --recipe onnx):
${HANDED_ON.map((name) => recipeLine(name)).join("\n")}
`;

function loopLine([name, { argument, help }]: [string, LoopFlag]): string {
  return `  ${`--${name}${argument === undefined ? "" : ` ${argument}`}`.padEnd(30)}${help}`;
}

function recipeLine(name: string): string {
  const flag = RECIPE_FLAGS[name];
  const argument = { text: " TEXT", integer: " N", number: " X", switch: "" }[flag?.kind ?? "switch"];
  return `  ${`--${name}${argument}`.padEnd(30)}${flag?.help ?? ""}`;
}
