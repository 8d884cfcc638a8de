import { expect, it } from "vitest";
import { matchLengths } from "../../../training/measures/human-training.ts";
import { assignSubjects } from "../../../training/measures/subjects.ts";

const ask = (source: string, text: string, subject?: string) => ({
  text,
  source,
  isHuman: source.startsWith("h"),
  ...(subject === undefined ? {} : { subject }),
});
const human = [
  ask("h1", "Which bus goes to Fresno?", "Buses"),
  ask("h2", "Play a song by Adele", "Music"),
  ask("h3", "Play a song, then find the bus", "Buses+Music"),
];

it("a conversation without a subject gets that of the labelled ones it is nearest to, and so does one with several", () => {
  const simulated = [ask("s1", "I need a bus to Fresno"), ask("s1", "Yes"), ask("s2", "Play some other song")];
  const subjects = assignSubjects([...human, ...simulated]).map(({ text, subject }) => [text, subject]);
  expect(subjects.slice(3)).toEqual([
    ["I need a bus to Fresno", "Buses"],
    ["Yes", "Buses"],
    ["Play some other song", "Music"],
  ]);
  expect(["Buses", "Music"]).toContain(subjects[2]?.[1]);
});

it("questions are left as they are where none names a subject", () => {
  const questions = [ask("h1", "Hello"), ask("s1", "Hi")];
  expect(assignSubjects(questions)).toEqual(questions);
});

it("as many of each kind are taken of a subject", () => {
  const questions = [
    ...human.slice(0, 2),
    ask("s1", "Is a bus going there?", "Buses"),
    ask("s2", "When is the next bus?", "Buses"),
  ];
  const taken = matchLengths(questions);
  expect(taken.map(({ subject }) => subject)).toEqual(["Buses", "Buses"]);
  expect(taken.filter(({ isHuman }) => isHuman)).toHaveLength(1);
});
