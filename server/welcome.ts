// Owns the text printed when the server is up: what is served, and commands to try that work as they stand.
import type { ModelInfo } from "../runtime/chat-model.ts";
import type { ModelCatalog } from "./model-catalog.ts";

/** For people; logs go elsewhere. */
export function welcome(url: string, catalog: ModelCatalog, needsKey: boolean): string {
  const infos = catalog.list().map((model) => model.info);
  const assistant = infos.find((info) => info.role === "assistant");
  const user = infos.find((info) => info.role === "user");
  const shown = assistant ?? user;
  const key = needsKey ? ` -H "Authorization: Bearer $KEY"` : "";
  const curl = (path: string, body: object, flags = "") =>
    `  curl${flags} ${url}${path}${key} -H "Content-Type: application/json" -d '${JSON.stringify(body)}'`;
  const hello = [{ role: "user", content: "Hello!" }];
  const lines = ["", `RealChat listens on ${url}`, "", ...infos.map(describe), ""];
  if (infos.length === 0) lines.push("  No models are served: add a folder with --model.", "");
  if (assistant !== undefined) {
    lines.push("Talk to the assistant:", curl("/v1/chat/completions", { model: assistant.id, messages: hello }), "");
  }
  if (user !== undefined) {
    const opener = { model: user.id, messages: [], stream: true };
    lines.push("Let the user model open a conversation, live:", curl("/v1/chat/completions", opener, " -N"), "");
  }
  if (assistant !== undefined && user !== undefined) {
    const pair = user.id === "usergpt" && assistant.id === "realm" ? {} : { user: user.id, assistant: assistant.id };
    const body = { ...pair, max_turns: 3, stream: true };
    lines.push("Let the two talk to each other, live:", curl("/v1/selfplay/dialogues", body, " -N"), "");
  }
  if (shown !== undefined) {
    const messages = shown.role === "assistant" ? `[{ role: "user", content: "Hello!" }]` : "[]";
    lines.push(
      "From JavaScript, with the official client (npm install openai):",
      `  import OpenAI from "openai";`,
      `  const client = new OpenAI({ baseURL: "${url}/v1", apiKey: ${needsKey ? "process.env.KEY" : `"none"`} });`,
      `  const reply = await client.chat.completions.create({ model: "${shown.id}", messages: ${messages} });`,
      "  console.log(reply.choices[0].message.content);",
      "",
    );
  }
  lines.push(`Also: ${url}/v1/models  ${url}/ready  ${url}/metrics. Stop with Ctrl+C.`, "");
  return lines.join("\n");
}

function describe({ id, role, contextWindow, device, precision }: ModelInfo): string {
  return `  ${id}  writes the ${role}'s turns  (${precision} on ${device}, ${contextWindow} tokens)`;
}
