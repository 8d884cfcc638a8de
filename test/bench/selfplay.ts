// Measures self-play three ways on one gateway in one run: (a) as a job, (b) as a client script that drives the same two models turn by
// turn over chat completions, (c) the same script when no prompt shares a beginning with another, as on a stateless server.
// All three tell both sides a system message of the same form; in (c) it differs from request to request, so that nothing is found
// in the cache. The three take turns for --rounds; medians are told. Progress and a table on standard error, one JSON document as the
// last line of standard output. Example: npm run bench:selfplay -- --count 200 --concurrency 16 --rounds 3
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createJob, dataSet, jobReaches } from "../support/job-client.ts";
import { startServerProcess } from "../support/server-process.ts";
import { median } from "./statistics.ts";

type Role = "user" | "assistant";
interface Message {
  readonly role: "system" | Role;
  readonly content: string;
}
interface Completion {
  readonly choices: readonly [{ readonly message: { readonly content: string }; readonly finish_reason: string }];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  };
}
interface Way {
  readonly way: string;
  readonly seconds: number;
  readonly dialoguesPerMinute: number;
  readonly turns: number;
  readonly sampledTokens: number;
  readonly sampledTokensPerSecond: number;
  readonly prefilledTokens: Readonly<Record<Role, number>>;
  readonly promptTokens: Readonly<Record<Role, number>>;
}

const models = { user: "usergpt", assistant: "realm" } as const;
const roles = ["user", "assistant"] as const;
// The pair that the gateway serves by default.
const modelsFolder = join(import.meta.dirname, "..", "..", "models");
const constantSystem = "1000000";
const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    concurrency: { type: "string", default: "16" },
    "max-turns": { type: "string", default: "8" },
    rounds: { type: "string", default: "3" },
  },
});
const count = Number(values.count);
const concurrency = Number(values.concurrency);
const maxTurns = Number(values["max-turns"]);
const rounds = Number(values.rounds);
// A job samples as each model recommends; the script has to be told, or it would play other dialogues.
const sampling = { user: await recommended("user"), assistant: await recommended("assistant") };

const server = await startServerProcess(["--slots", String(concurrency)], { REALCHAT_MODELS: modelsFolder });
try {
  // What is compiled and allocated at first use is not measured.
  await playByScript("warm-up", Math.min(count, concurrency), () => constantSystem);
  await jobReaches(server.url, (await createJob(server.url, { count: 1, seed: 2, max_turns: 1 })).id);
  let requests = 0;
  const played: { readonly ways: readonly Way[]; readonly ownTokens: Record<Role, number> }[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const job = await playAsJob(round);
    const script = await playByScript("(b) client script", count, () => constantSystem);
    const stateless = await playByScript("(c) client script, no prefix reuse", count, () =>
      String(2_000_000 + (requests += 1)),
    );
    const ways = [job.way, script, stateless];
    played.push({ ways, ownTokens: job.ownTokens });
    for (const { way, dialoguesPerMinute, seconds, turns, sampledTokens, prefilledTokens, promptTokens } of ways) {
      console.error(
        `${way.padEnd(36)} ${dialoguesPerMinute.toFixed(1).padStart(8)} dialogues/min ${seconds.toFixed(1).padStart(7)} s ` +
          `${String(turns).padStart(6)} turns, ${sampledTokens} sampled, prefilled ${prefilledTokens.user} + ${prefilledTokens.assistant} ` +
          `of ${promptTokens.user} + ${promptTokens.assistant}`,
      );
    }
    console.error(`own tokens of (a): ${job.ownTokens.user} + ${job.ownTokens.assistant}`);
  }
  const perMinute = (way: number) => played.map(({ ways }) => ways[way]?.dialoguesPerMinute ?? 0);
  const ratioTo = (way: number) => median(perMinute(0).map((own, round) => own / (perMinute(way)[round] ?? 1)));
  const ratios = { jobToScript: ratioTo(1), jobToStateless: ratioTo(2) };
  const medians = [0, 1, 2].map((way) => median(perMinute(way)));
  console.error(
    `medians: ${medians.map((value) => value.toFixed(1)).join(", ")} dialogues/min; ratios ${JSON.stringify(ratios)}`,
  );
  console.log(JSON.stringify({ bench: "selfplay", count, concurrency, maxTurns, medians, ratios, rounds: played }));
} finally {
  await server.stop();
}

async function playAsJob(seed: number): Promise<{ way: Way; ownTokens: Record<Role, number> }> {
  const startedMs = performance.now();
  const { id } = await createJob(server.url, {
    count,
    concurrency,
    seed,
    max_turns: maxTurns,
    system: { user: constantSystem, assistant: constantSystem },
  });
  // Seldom: answering takes part of what is measured.
  const whole = await jobReaches(server.url, id, undefined, 250);
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, assistant } = whole.usage;
  const turns = (await dataSet(server.url, id)).flatMap((row) => row.turns);
  const field = (name: string) => ({ user: user[name] ?? 0, assistant: assistant[name] ?? 0 });
  const sampledTokens = (user["completion_tokens"] ?? 0) + (assistant["completion_tokens"] ?? 0);
  const way = {
    way: "(a) self-play job",
    seconds,
    dialoguesPerMinute: (count / seconds) * 60,
    turns: turns.length,
    sampledTokens,
    sampledTokensPerSecond: sampledTokens / seconds,
    prefilledTokens: field("prefilled_tokens"),
    promptTokens: field("prompt_tokens"),
  };
  return { way, ownTokens: await ownTokens(id) };
}

async function recommended(role: Role): Promise<Readonly<Record<string, number>>> {
  const file = join(modelsFolder, models[role], "generation_config.json");
  const { temperature, top_p } = JSON.parse(await readFile(file, "utf8")) as Record<string, number>;
  return { temperature: temperature ?? 1, top_p: top_p ?? 1 };
}

/** What each side had to take in once: its last prompt without what it sampled itself, or found from another dialogue's beginning. */
async function ownTokens(id: string): Promise<Record<Role, number>> {
  const own = { user: 0, assistant: 0 };
  for (let index = 0; index < count; index += 1) {
    const response = await fetch(`${server.url}/v1/selfplay/jobs/${id}/dialogues/${index}`);
    const { trace, discarded } = (await response.json()) as Record<"trace" | "discarded", readonly TracedTurn[]>;
    for (const role of roles) {
      const said = [...trace, ...discarded].filter((turn) => turn.role === role);
      const last = said.at(-1);
      if (last === undefined) continue;
      const fed = said
        .slice(0, -1)
        .reduce((sum, { token_ids: ids, cause }) => sum + ids.length - (cause === "max_tokens" ? 1 : 0), 0);
      own[role] += last.usage.prompt_tokens - fed - (said[0]?.usage.cached_tokens ?? 0);
    }
  }
  return own;
}

interface TracedTurn {
  readonly role: Role;
  readonly cause: string;
  readonly token_ids: readonly number[];
  readonly usage: { readonly prompt_tokens: number; readonly cached_tokens: number };
}

async function playByScript(way: string, dialogues: number, system: () => string): Promise<Way> {
  console.error(way);
  const sums = { turns: 0, sampled: 0, prefilled: { user: 0, assistant: 0 }, prompt: { user: 0, assistant: 0 } };
  let next = 0;
  const startedMs = performance.now();

  /** One turn, or null when the window is full. */
  async function say(role: Role, messages: readonly Message[], seed: number): Promise<string | null> {
    const body = {
      model: models[role],
      seed,
      ...sampling[role],
      messages: [{ role: "system", content: system() }, ...messages],
      ...(role === "user" ? { max_tokens: 512 } : {}),
    };
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.status === 400) return null;
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    const { choices, usage } = (await response.json()) as Completion;
    sums.turns += 1;
    sums.sampled += usage.completion_tokens;
    sums.prompt[role] += usage.prompt_tokens;
    sums.prefilled[role] += usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens;
    const { content } = choices[0].message;
    return choices[0].finish_reason === "length" || content.trim() === "" ? null : content;
  }

  async function work(): Promise<void> {
    for (let index = next; index < dialogues; index = next) {
      next += 1;
      const messages: Message[] = [];
      for (let round = 0; round < maxTurns; round += 1) {
        const question = await say("user", messages, index * 1000 + 2 * round);
        if (question === null) break;
        messages.push({ role: "user", content: question.trim() });
        const answer = await say("assistant", messages, index * 1000 + 2 * round + 1);
        if (answer === null) break;
        messages.push({ role: "assistant", content: answer });
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
  const seconds = (performance.now() - startedMs) / 1000;
  return {
    way,
    seconds,
    dialoguesPerMinute: (dialogues / seconds) * 60,
    turns: sums.turns,
    sampledTokens: sums.sampled,
    sampledTokensPerSecond: sums.sampled / seconds,
    prefilledTokens: sums.prefilled,
    promptTokens: sums.prompt,
  };
}
