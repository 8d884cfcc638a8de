import { describe, expect, it } from "vitest";
import {
  breaksOff,
  errorBody,
  type FakeAnswer,
  hangs,
  refuses,
  says,
  slams,
  startFakeUpstream,
  streams,
} from "../../support/fake-upstream.ts";
import { scriptedModel } from "../../support/scripted-model.ts";
import { dialogueRequest, play, playWell, transcript } from "../selfplay/play.ts";
import { openUpstream } from "./ask.ts";

const user = () =>
  scriptedModel({ info: { id: "usergpt", role: "user" }, reply: (_, index) => ({ pieces: [`Q${index + 1}`] }) });
const assistant = () => scriptedModel({ reply: (_, index) => ({ pieces: [`A${index + 1}`] }) });
const quick = { timeoutS: 1, idleTimeoutS: 1 };
const overflow = refuses(400, errorBody("too long", "context_length_exceeded"));

describe("a dialogue with an assistant elsewhere", () => {
  it("comes through every passing fault, and each turn is asked for as often as it failed and once more", async () => {
    const faults: FakeAnswer[] = [
      refuses(429, errorBody("slow"), { "retry-after-ms": "2" }),
      refuses(500),
      says(["A1"]),
      streams("data: garbage\n\n"),
      hangs(),
      slams,
      says(["A2"]),
      breaksOff(),
      says([], { finish: null }),
      says(["A3"]),
    ];
    const upstream = await startFakeUpstream(...faults);
    const { model, account } = openUpstream(upstream.url, quick);
    const dialogue = await playWell(dialogueRequest(user(), model, { maxTurns: 3 }));
    expect(transcript(dialogue)).toEqual(["U: Q1", "A: A1", "U: Q2", "A: A2", "U: Q3", "A: A3"]);
    expect(dialogue.stopReason).toBe("max_turns");
    expect(upstream.requests).toHaveLength(faults.length);
    expect(account().totals).toMatchObject({ requests: 3, retries: 7 });
    expect(dialogue.usage.assistant).toMatchObject({ completionTokens: 6 });
  });

  it("is shown its own turns as they were said, and no ids", async () => {
    const upstream = await startFakeUpstream(says(["A", "1"]), says(["A2"]));
    const { model } = openUpstream(upstream.url);
    await playWell(dialogueRequest(user(), model, { maxTurns: 2 }));
    expect(upstream.requests[1]?.body["messages"]).toEqual([
      { role: "user", content: "Q1" },
      { role: "assistant", content: "A1" },
      { role: "user", content: "Q2" },
    ]);
    const seeds = upstream.requests.map(({ body }) => body["seed"]);
    expect(new Set(seeds).size).toBe(2);
  });

  it("ends as a full window where the endpoint says so, after one attempt, on its last whole round", async () => {
    const upstream = await startFakeUpstream(says(["A1"]), overflow);
    const { model } = openUpstream(upstream.url);
    const dialogue = await playWell(dialogueRequest(user(), model));
    expect(dialogue).toMatchObject({ stopReason: "window", stoppedBy: "assistant" });
    expect(transcript(dialogue)).toEqual(["U: Q1", "A: A1"]);
    expect(upstream.requests).toHaveLength(2);
  });

  it.each([
    ["a key that is refused later", refuses(401), 2, "upstream_refused"],
    ["a connection cut in the middle of a turn", breaksOff("half an"), 2, "upstream_failed"],
    ["an endpoint that stays down", refuses(500), 5, "upstream_failed"],
  ])("ends as an error, with its whole rounds, for %s", async (_, answer, requests, code) => {
    const upstream = await startFakeUpstream(says(["A1"]), answer);
    const { model } = openUpstream(upstream.url);
    const { dialogue, failure } = await play(dialogueRequest(user(), model));
    expect(failure).toMatchObject({ code });
    expect(dialogue?.stopReason).toBe("error");
    expect(transcript(dialogue)).toEqual(["U: Q1", "A: A1"]);
    expect(upstream.requests).toHaveLength(requests);
  });
});

describe("a dialogue with a user elsewhere", () => {
  it("played by an assistant: roles swapped, the opener kept from turn to turn", async () => {
    const upstream = await startFakeUpstream(says([" Q1 \n"]), says(["Q2"]), says(["Q3"]));
    const { model } = openUpstream(upstream.url, { role: "user" });
    const dialogue = await playWell(dialogueRequest(model, assistant(), { maxTurns: 3 }));
    expect(transcript(dialogue)).toEqual(["U: Q1", "A: A1", "U: Q2", "A: A2", "U: Q3", "A: A3"]);
    const [first, , third] = upstream.requests.map(({ body }) => (body["messages"] as { role: string }[]).slice(1));
    expect(first).toEqual([{ role: "user", content: "[start]" }]);
    expect(third?.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant", "user"]);
  });

  it("ends with the conversation where a gateway's model ends it", async () => {
    const goodbye = says([], { extra: { realchat: { end_of_conversation: true } } });
    const upstream = await startFakeUpstream(says(["Q1"]), goodbye);
    const { model } = openUpstream(upstream.url, { role: "user", userMode: "natural" });
    const dialogue = await playWell(dialogueRequest(model, assistant()));
    expect(dialogue).toMatchObject({ stopReason: "end_token", stoppedBy: "user" });
    expect(transcript(dialogue)).toEqual(["U: Q1", "A: A1"]);
  });
});
