-- Jobs written in business transactions, and the schedules of the workers.

CREATE TABLE job (
    id text PRIMARY KEY,
    kind text NOT NULL,
    payload {json} NOT NULL,
    idempotency_key text NOT NULL,
    state text NOT NULL,
    run_at bigint NOT NULL,
    attempts integer NOT NULL,
    leased_by text,
    leased_until bigint,
    last_error text,
    created_at bigint NOT NULL,
    settled_at bigint
){keyed};
CREATE UNIQUE INDEX job_idempotency_key ON job (idempotency_key);
CREATE INDEX job_due ON job (run_at, id) WHERE state = 'queued';
CREATE INDEX job_settled ON job (state, settled_at) WHERE state <> 'queued';

CREATE TABLE schedule (
    name text PRIMARY KEY,
    next_run_at bigint NOT NULL,
    leased_by text,
    leased_until bigint NOT NULL
);

-- One row that /readyz writes to prove that writing works.
CREATE TABLE readiness (
    id integer PRIMARY KEY,
    checked_at bigint NOT NULL
);
INSERT INTO readiness (id, checked_at) VALUES (1, 0);
