// Owns the tables, as the list of changes that leads to them. A change that was released is never edited: add another.
// Numbers are places in the list, from 1. It runs nothing; migrate.ts does.

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
}

export const migrations: readonly Migration[] = [
  {
    name: "self-play jobs",
    statements: [
      // Sums and event numbers stand in the job's own row: whoever adds to them waits for the others, so that a reader of events
      // never sees a number before a smaller one.
      `CREATE TABLE selfplay_jobs (
        id text PRIMARY KEY,
        status text NOT NULL CHECK (status IN ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')),
        seed bigint NOT NULL,
        count integer NOT NULL CHECK (count > 0),
        concurrency integer,
        budget_tokens bigint,
        budget_money double precision,
        request jsonb NOT NULL,
        plan jsonb NOT NULL,
        metadata jsonb,
        completed integer NOT NULL DEFAULT 0,
        failed integer NOT NULL DEFAULT 0,
        cancelled integer NOT NULL DEFAULT 0,
        turns integer NOT NULL DEFAULT 0,
        user_prompt_tokens bigint NOT NULL DEFAULT 0,
        user_cached_tokens bigint NOT NULL DEFAULT 0,
        user_completion_tokens bigint NOT NULL DEFAULT 0,
        assistant_prompt_tokens bigint NOT NULL DEFAULT 0,
        assistant_cached_tokens bigint NOT NULL DEFAULT 0,
        assistant_completion_tokens bigint NOT NULL DEFAULT 0,
        money double precision NOT NULL DEFAULT 0,
        last_event bigint NOT NULL DEFAULT 0,
        error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        ended_at timestamptz
      )`,
      `CREATE INDEX selfplay_jobs_by_age ON selfplay_jobs (created_at, id)`,
      // A lease is a token that grows with every taker, and a time. What is written under an older token is refused.
      `CREATE TABLE selfplay_dialogues (
        job_id text NOT NULL REFERENCES selfplay_jobs ON DELETE CASCADE,
        index integer NOT NULL,
        status text NOT NULL DEFAULT 'queued'
          CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
        attempts integer NOT NULL DEFAULT 0,
        available_at timestamptz NOT NULL DEFAULT now(),
        lease_owner text,
        lease_token bigint NOT NULL DEFAULT 0,
        lease_until timestamptz,
        seed_item jsonb,
        stop_reason text,
        stopped_by text,
        record jsonb,
        quality jsonb,
        error text,
        started_at timestamptz,
        ended_at timestamptz,
        PRIMARY KEY (job_id, index)
      )`,
      `CREATE INDEX selfplay_dialogues_open ON selfplay_dialogues (job_id, index) WHERE status IN ('queued', 'running')`,
      `CREATE TABLE selfplay_turns (
        job_id text NOT NULL,
        dialogue_index integer NOT NULL,
        ordinal integer NOT NULL,
        role text NOT NULL CHECK (role IN ('user', 'assistant')),
        turn integer NOT NULL,
        content text NOT NULL,
        is_kept boolean NOT NULL,
        rejection text,
        cause text,
        seed bigint,
        token_ids jsonb,
        prompt_tokens integer,
        cached_tokens integer,
        completion_tokens integer,
        choice jsonb,
        first_token_ms double precision,
        duration_ms double precision,
        committed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job_id, dialogue_index, ordinal),
        FOREIGN KEY (job_id, dialogue_index) REFERENCES selfplay_dialogues ON DELETE CASCADE
      )`,
      `CREATE TABLE selfplay_events (
        job_id text NOT NULL REFERENCES selfplay_jobs ON DELETE CASCADE,
        id bigint NOT NULL,
        type text NOT NULL,
        dialogue_index integer,
        ordinal integer,
        data jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job_id, id)
      )`,
    ],
  },
  {
    name: "tokens of judges",
    statements: [
      `ALTER TABLE selfplay_jobs
        ADD COLUMN judge_prompt_tokens bigint NOT NULL DEFAULT 0,
        ADD COLUMN judge_cached_tokens bigint NOT NULL DEFAULT 0,
        ADD COLUMN judge_completion_tokens bigint NOT NULL DEFAULT 0`,
    ],
  },
];
