// Prints "passed failed skipped" of a vitest report. A file that could not be run, or a run that failed although its tests
// did not (an error outside of any test), is one failure. Runs on the machine's own Node.
import { readFileSync } from "node:fs";

const [file, status] = process.argv.slice(2);
const report = JSON.parse(readFileSync(file, "utf8"));
const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = report;
const broken = testResults.filter(
  ({ status: outcome, assertionResults }) =>
    outcome === "failed" && !assertionResults.some((test) => test.status === "failed"),
);
let failed = numFailedTests + broken.length;
if (failed === 0 && status !== "0") failed = 1;
process.stdout.write(`${numPassedTests} ${failed} ${numPendingTests + numTodoTests}\n`);
