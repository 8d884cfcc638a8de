// Owns how many CPU threads a training beside the gateway has. It starts nothing.
import { availableParallelism } from "node:os";

/** All cores but one, which is left to those who ask; one at least. */
export const trainingThreads = () => Math.max(1, availableParallelism() - 1);
