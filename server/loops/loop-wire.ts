// Owns how loops, their events and rounds look to clients. It knows no store.
import type { StoredWorkEvent } from "../work/event-rows.ts";
import type { LoopModels, StoredLoop, StoredRound } from "./records.ts";

const seconds = (ms: number | null) => (ms === null ? null : Math.floor(ms / 1000));

const idsOf = ({ user, assistant }: LoopModels) => ({ user: user.id, assistant: assistant.id });

export function toWireLoop(loop: StoredLoop) {
  const { id, status, name, rounds, round, step, progress, error, metadata } = loop;
  return {
    id,
    object: "loop",
    status,
    name,
    rounds,
    round,
    step,
    progress,
    models: idsOf(loop.models),
    selfplay_job: loop.selfplayJob,
    error,
    created_at: seconds(loop.createdAtMs),
    started_at: seconds(loop.startedAtMs),
    finished_at: seconds(loop.finishedAtMs),
    request: loop.plan.request,
    metadata,
  };
}

export function toWireLoopEvent(loopId: string, { id, level, message, data, createdAtMs }: StoredWorkEvent) {
  return {
    id,
    object: "loop.event",
    loop_id: loopId,
    created_at: seconds(createdAtMs),
    level,
    message,
    data: data ?? {},
  };
}

export function toWireRound(loopId: string, { round, accepted, endedAtMs }: StoredRound) {
  return {
    id: `${loopId}-${round}`,
    object: "loop.round",
    loop_id: loopId,
    round,
    accepted_models: accepted,
    ended_at: seconds(endedAtMs),
  };
}
