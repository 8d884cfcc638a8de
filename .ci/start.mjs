// `npm start`, as a newcomer types it: it listens, both models are ready, and it ends well when told to.
// Runs on the machine's own Node.
import { spawn } from "node:child_process";
import { once } from "node:events";

const server = spawn("npm", ["start", "--", "--port", "0"], { stdio: ["ignore", "pipe", "pipe"], detached: true });
let output = "";
const listening = new Promise((resolve, reject) => {
  server.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
    const url = /listens on (http:\S+)/.exec(output)?.[1];
    if (url !== undefined) resolve(url);
  });
  server.stderr.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  server.once("exit", (code) => reject(new Error(`npm start ended with ${code}: ${output}`)));
});
try {
  const startedAtMs = performance.now();
  const url = await listening;
  process.stdout.write(`listens after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s\n`);
  const { status, models } = await (await fetch(`${url}/ready`)).json();
  const ids = models.map(({ id }) => id).join(" ");
  if (status !== "ready" || ids !== "realm usergpt") throw new Error(`/ready says ${status} with ${ids}`);
  // Once nobody holds its output any more, neither npm nor the server.
  const closed = once(server, "close");
  // As Ctrl+C does: to npm and to the server.
  process.kill(-server.pid, "SIGINT");
  await closed;
  if (!output.includes('"message":"stopped"')) throw new Error(`the server did not end well: ${output}`);
  process.stdout.write("ended well\n");
} finally {
  if (server.exitCode === null && server.signalCode === null) process.kill(-server.pid, "SIGKILL");
}
