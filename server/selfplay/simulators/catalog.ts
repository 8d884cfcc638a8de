// Owns which simulators there are, which modes each has, and what each needs to start a dialogue.
// It knows no strategy from the inside.
import { learnedSimulator } from "./learned.ts";
import { prequerySimulator } from "./prequery.ts";
import { roleplaySimulator } from "./roleplay.ts";
import { selfchatSimulator } from "./selfchat.ts";
import type { SimulationMode, Simulator, SimulatorName } from "./simulator.ts";

const simulators: Readonly<Record<SimulatorName, Simulator>> = {
  learned: learnedSimulator,
  selfchat: selfchatSimulator,
  roleplay: roleplaySimulator,
  prequery: prequerySimulator,
};

export const simulatorNames = ["learned", "selfchat", "roleplay", "prequery"] as const satisfies SimulatorName[];

/** Modes of each simulator, the default first. */
export const simulatorModes: Readonly<Record<SimulatorName, readonly [SimulationMode, ...SimulationMode[]]>> = {
  learned: ["free", "seeded", "intent", "profile"],
  selfchat: ["transcript", "turnwise"],
  roleplay: ["free"],
  prequery: ["free"],
};

/** The strategy of that name. */
export function findSimulator(name: SimulatorName): Simulator {
  return simulators[name];
}
