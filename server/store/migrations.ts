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
  {
    name: "turns in one call",
    statements: [
      // What is written for every turn, as a function: a session plans it once, not at every turn. `said` is the row of the turn without
      // its text and ids, `spent` and `judged` are prompt, cached and completion tokens. No row comes back for a lease that is lost.
      `CREATE OR REPLACE FUNCTION selfplay_commit_turn(job text, dialogue integer, token bigint, lease_ms double precision,
          said jsonb, words text, ids jsonb, spent integer[], judged integer[], paid double precision)
        RETURNS TABLE (job_status text, is_spent boolean) LANGUAGE plpgsql AS $$
        DECLARE
          j selfplay_jobs%ROWTYPE;
          is_user boolean := said->>'role' = 'user';
        BEGIN
          UPDATE selfplay_dialogues d SET lease_until = now() + lease_ms * interval '1 millisecond', attempts = 1
            WHERE d.job_id = job AND d.index = dialogue AND d.lease_token = token AND d.status = 'running';
          IF NOT FOUND THEN RETURN; END IF;
          UPDATE selfplay_jobs s SET last_event = s.last_event + 1, turns = s.turns + 1, money = s.money + paid,
              user_prompt_tokens = s.user_prompt_tokens + CASE WHEN is_user THEN spent[1] ELSE 0 END,
              user_cached_tokens = s.user_cached_tokens + CASE WHEN is_user THEN spent[2] ELSE 0 END,
              user_completion_tokens = s.user_completion_tokens + CASE WHEN is_user THEN spent[3] ELSE 0 END,
              assistant_prompt_tokens = s.assistant_prompt_tokens + CASE WHEN is_user THEN 0 ELSE spent[1] END,
              assistant_cached_tokens = s.assistant_cached_tokens + CASE WHEN is_user THEN 0 ELSE spent[2] END,
              assistant_completion_tokens = s.assistant_completion_tokens + CASE WHEN is_user THEN 0 ELSE spent[3] END,
              judge_prompt_tokens = s.judge_prompt_tokens + judged[1],
              judge_cached_tokens = s.judge_cached_tokens + judged[2],
              judge_completion_tokens = s.judge_completion_tokens + judged[3]
            WHERE s.id = job RETURNING s.* INTO j;
          INSERT INTO selfplay_turns (job_id, dialogue_index, ordinal, role, turn, content, is_kept, rejection, cause, seed,
              token_ids, prompt_tokens, cached_tokens, completion_tokens, choice, first_token_ms, duration_ms)
            SELECT job, dialogue, r.ordinal, r.role, r.turn, words, r.is_kept, r.rejection, r.cause, r.seed,
                ids, r.prompt_tokens, r.cached_tokens, r.completion_tokens, r.choice, r.first_token_ms, r.duration_ms
              FROM jsonb_to_record(said) AS r(ordinal integer, role text, turn integer, is_kept boolean, rejection text,
                cause text, seed bigint, prompt_tokens integer, cached_tokens integer, completion_tokens integer, choice jsonb,
                first_token_ms double precision, duration_ms double precision);
          INSERT INTO selfplay_events (job_id, id, type, dialogue_index, ordinal)
            VALUES (job, j.last_event, 'turn', dialogue, (said->>'ordinal')::integer);
          RETURN QUERY SELECT j.status, j.money >= j.budget_money
            OR j.user_prompt_tokens - j.user_cached_tokens + j.user_completion_tokens
              + j.assistant_prompt_tokens - j.assistant_cached_tokens + j.assistant_completion_tokens
              + j.judge_prompt_tokens - j.judge_cached_tokens + j.judge_completion_tokens >= j.budget_tokens;
        END $$`,
    ],
  },
  {
    name: "files",
    statements: [
      `CREATE TABLE files (
        id text PRIMARY KEY,
        purpose text NOT NULL,
        filename text NOT NULL,
        bytes bigint NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz
      )`,
      `CREATE INDEX files_by_age ON files (created_at, id)`,
    ],
  },
  {
    name: "fine-tuning jobs",
    statements: [
      // Event numbers stand in the job's own row, and a lease is a token that grows with every taker, as in self-play jobs.
      `CREATE TABLE fine_tuning_jobs (
        id text PRIMARY KEY,
        status text NOT NULL DEFAULT 'validating_files'
          CHECK (status IN ('validating_files', 'queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
        model text NOT NULL,
        fine_tuned_model text NOT NULL,
        training_file text NOT NULL,
        validation_file text,
        seed bigint NOT NULL,
        suffix text,
        plan jsonb NOT NULL,
        hyperparameters jsonb,
        metadata jsonb,
        error jsonb,
        trained_tokens bigint,
        result_files jsonb NOT NULL DEFAULT '[]',
        step integer NOT NULL DEFAULT 0,
        steps integer,
        train_loss double precision,
        valid_loss double precision,
        best_step integer,
        estimated_finish timestamptz,
        last_event bigint NOT NULL DEFAULT 0,
        attempts integer NOT NULL DEFAULT 0,
        available_at timestamptz NOT NULL DEFAULT now(),
        lease_owner text,
        lease_token bigint NOT NULL DEFAULT 0,
        lease_until timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        finished_at timestamptz
      )`,
      `CREATE INDEX fine_tuning_jobs_by_age ON fine_tuning_jobs (created_at, id)`,
      `CREATE TABLE fine_tuning_events (
        job_id text NOT NULL REFERENCES fine_tuning_jobs ON DELETE CASCADE,
        id bigint NOT NULL,
        level text NOT NULL,
        type text NOT NULL,
        message text NOT NULL,
        data jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job_id, id)
      )`,
    ],
  },
  {
    name: "loops",
    statements: [
      `CREATE TABLE loops (
        id text PRIMARY KEY,
        status text NOT NULL DEFAULT 'queued'
          CHECK (status IN ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')),
        name text NOT NULL,
        rounds integer NOT NULL,
        plan jsonb NOT NULL,
        heldout_files jsonb NOT NULL,
        models jsonb NOT NULL,
        metadata jsonb,
        round integer NOT NULL DEFAULT 0,
        step text,
        progress text,
        selfplay_job text,
        error text,
        last_event bigint NOT NULL DEFAULT 0,
        attempts integer NOT NULL DEFAULT 0,
        available_at timestamptz NOT NULL DEFAULT now(),
        lease_owner text,
        lease_token bigint NOT NULL DEFAULT 0,
        lease_until timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        finished_at timestamptz
      )`,
      `CREATE INDEX loops_by_age ON loops (created_at, id)`,
      `CREATE TABLE loop_events (
        job_id text NOT NULL REFERENCES loops ON DELETE CASCADE,
        id bigint NOT NULL,
        level text NOT NULL,
        type text NOT NULL,
        message text NOT NULL,
        data jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (job_id, id)
      )`,
      // The reports stand here as well as in the loop's folder: another gateway on the same database has no such folder.
      `CREATE TABLE loop_rounds (
        loop_id text NOT NULL REFERENCES loops ON DELETE CASCADE,
        round integer NOT NULL,
        accepted jsonb NOT NULL,
        report_json text NOT NULL,
        report_markdown text NOT NULL,
        report_html text NOT NULL,
        ended_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (loop_id, round)
      )`,
    ],
  },
];
