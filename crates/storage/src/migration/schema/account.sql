-- Users, sessions, staff, SMS codes, counters and idempotency keys. Phone numbers are sealed (AES-SIV, decision 0034), as
-- are names that may tell one and the bodies of answers that are kept.

-- A text under the key of what is sealed, by which another key is told at the start.
CREATE TABLE seal_proof (
    id integer PRIMARY KEY,
    sealed text NOT NULL
);

CREATE TABLE account_user (
    id text PRIMARY KEY,
    username text NOT NULL,
    email text,
    phone text,
    is_phone_verified boolean NOT NULL,
    is_email_verified boolean NOT NULL,
    password text,
    auth_data {json} NOT NULL,
    acl {json},
    extra {json} NOT NULL,
    closed_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX account_user_closed ON account_user (closed_at) WHERE closed_at IS NOT NULL;
CREATE UNIQUE INDEX account_user_username ON account_user (username);
CREATE UNIQUE INDEX account_user_email ON account_user (email) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX account_user_phone ON account_user (phone) WHERE phone IS NOT NULL;

-- The identities in auth_data, to find users by.
CREATE TABLE user_identity (
    provider text NOT NULL,
    uid text NOT NULL,
    user_id text NOT NULL,
    PRIMARY KEY (provider, uid)
);
CREATE INDEX user_identity_user ON user_identity (user_id);

CREATE TABLE session (
    id text PRIMARY KEY,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    token_hash text NOT NULL,
    device_label text,
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint
);
CREATE UNIQUE INDEX session_token_hash ON session (token_hash);
CREATE INDEX session_subject ON session (subject_kind, subject_id, last_seen_at) WHERE revoked_at IS NULL;
CREATE INDEX session_expiry ON session (expires_at);

CREATE TABLE agent (
    id text PRIMARY KEY,
    username text NOT NULL,
    display_name text NOT NULL,
    role text NOT NULL,
    password text NOT NULL,
    is_enabled boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX agent_username ON agent (username);

CREATE TABLE sms_challenge (
    id text PRIMARY KEY,
    purpose text NOT NULL,
    phone text NOT NULL,
    code_hash text NOT NULL,
    user_id text,
    device text,
    address text NOT NULL,
    is_findable_by_phone boolean NOT NULL,
    tries_left integer NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    consumed_at bigint
);
CREATE INDEX sms_challenge_phone ON sms_challenge (phone, purpose, created_at, id);
CREATE INDEX sms_challenge_device ON sms_challenge (device, purpose, created_at) WHERE device IS NOT NULL;
CREATE INDEX sms_challenge_expiry ON sms_challenge (expires_at);

-- When things happened that are limited per stretch of time; subjects are keyed hashes.
CREATE TABLE rate_ledger (
    scope text NOT NULL,
    subject text NOT NULL,
    marks {json} NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (scope, subject)
);
CREATE INDEX rate_ledger_time ON rate_ledger (updated_at);

-- Consecutive failures; subjects are keyed hashes.
CREATE TABLE sign_in_guard (
    scope text NOT NULL,
    subject text NOT NULL,
    failures bigint NOT NULL,
    locked_until bigint,
    last_failure_at bigint,
    updated_at bigint NOT NULL,
    PRIMARY KEY (scope, subject)
);

-- What was used once and may not be used again, until it would have expired anyway.
CREATE TABLE one_time (
    id text PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX one_time_expiry ON one_time (expires_at);

CREATE TABLE idempotency_record (
    actor text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    leased_until bigint NOT NULL,
    status integer,
    content_type text,
    body {bytes},
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (actor, operation, key)
);
CREATE INDEX idempotency_record_expiry ON idempotency_record (expires_at);
