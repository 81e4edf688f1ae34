-- Text messages, their attempts, breakers, spending, receipts and replies. Numbers are kept as keyed hashes and
-- sealed; codes, texts and variables only sealed.

CREATE TABLE sms_message (
    id text PRIMARY KEY,
    idempotency_key text NOT NULL,
    thread text NOT NULL,
    kind text NOT NULL,
    template text NOT NULL,
    phone_hash text NOT NULL,
    phone_masked text NOT NULL,
    sealed_phone {bytes} NOT NULL,
    sealed_params {bytes},
    origin text,
    state text NOT NULL,
    attempts integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    useful_until bigint NOT NULL
);
CREATE UNIQUE INDEX sms_message_key ON sms_message (idempotency_key);
CREATE INDEX sms_message_thread ON sms_message (thread, created_at);
CREATE INDEX sms_message_phone ON sms_message (phone_hash, created_at, id);
CREATE INDEX sms_message_time ON sms_message (created_at, id);
CREATE INDEX sms_message_in_hand ON sms_message (updated_at) WHERE state IN ('queued', 'submitting');
CREATE INDEX sms_message_params ON sms_message (useful_until) WHERE sealed_params IS NOT NULL;

CREATE TABLE sms_attempt (
    message_id text NOT NULL,
    attempt integer NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL,
    phone_hash text NOT NULL,
    state text NOT NULL,
    class text,
    code text,
    provider_id text,
    segments integer NOT NULL,
    cost_milliyuan bigint NOT NULL,
    submitted_at bigint NOT NULL,
    answered_at bigint,
    receipt text,
    receipt_code text,
    reported_at bigint,
    receipt_at bigint,
    next_poll_at bigint,
    polls integer NOT NULL,
    PRIMARY KEY (message_id, attempt)
);
CREATE INDEX sms_attempt_provider_id ON sms_attempt (provider, provider_id, phone_hash) WHERE provider_id IS NOT NULL;
CREATE INDEX sms_attempt_phone ON sms_attempt (phone_hash, submitted_at);
CREATE INDEX sms_attempt_provider ON sms_attempt (provider, kind, submitted_at);
CREATE INDEX sms_attempt_poll ON sms_attempt (next_poll_at) WHERE next_poll_at IS NOT NULL;

CREATE TABLE sms_breaker (
    provider text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    failures integer NOT NULL,
    retry_at bigint,
    reason text,
    changed_at bigint NOT NULL,
    PRIMARY KEY (provider, kind)
);

-- What was spent on each day of the business's time zone.
CREATE TABLE sms_spending (
    day text PRIMARY KEY,
    spent_milliyuan bigint NOT NULL
);

CREATE TABLE sms_receipt (
    id text PRIMARY KEY,
    provider text NOT NULL,
    provider_id text NOT NULL,
    out_id text,
    phone_hash text NOT NULL,
    class text NOT NULL,
    code text NOT NULL,
    segments integer,
    reported_at bigint,
    received_at bigint NOT NULL,
    looked_at bigint NOT NULL,
    fate text,
    settled_at bigint
);
CREATE UNIQUE INDEX sms_receipt_once ON sms_receipt (provider, provider_id, phone_hash, class, code);
CREATE INDEX sms_receipt_open ON sms_receipt (received_at, id) WHERE fate IS NULL;
CREATE INDEX sms_receipt_settled ON sms_receipt (settled_at) WHERE fate IS NOT NULL;

CREATE TABLE sms_reply (
    id text PRIMARY KEY,
    provider text NOT NULL,
    reference text NOT NULL,
    phone_hash text NOT NULL,
    phone_masked text NOT NULL,
    sealed_phone {bytes} NOT NULL,
    sealed_text {bytes} NOT NULL,
    received_at bigint NOT NULL
);
CREATE UNIQUE INDEX sms_reply_once ON sms_reply (provider, reference);
CREATE INDEX sms_reply_time ON sms_reply (received_at, id);
