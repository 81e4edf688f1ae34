-- WeChat: tokens, people, consents, messages, pushes, content checks, customer-service sessions.
-- Columns named sealed hold AES-256-GCM under a key that is not in the database.

CREATE TABLE wechat_token (
    app text PRIMARY KEY,
    version bigint NOT NULL,
    sealed {bytes},
    good_until bigint,
    fetched_at bigint,
    invalid_version bigint NOT NULL,
    invalidations integer NOT NULL,
    invalidated_at bigint,
    lease_holder text,
    lease_until bigint NOT NULL,
    blocked_until bigint,
    failures integer NOT NULL,
    fault_code bigint,
    fault_message text,
    fault_rid text,
    fault_at bigint,
    fetches bigint NOT NULL,
    forced_day text,
    forced_count integer NOT NULL,
    forced_at bigint
);

CREATE TABLE wechat_lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    lease_until bigint NOT NULL
);

CREATE TABLE wechat_identity (
    app text NOT NULL,
    openid text NOT NULL,
    user_id text,
    unionid text,
    session_sealed {bytes},
    visited_at bigint,
    is_following boolean,
    updated_at bigint NOT NULL,
    PRIMARY KEY (app, openid)
);
CREATE INDEX wechat_identity_user ON wechat_identity (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX wechat_identity_unionid ON wechat_identity (unionid) WHERE unionid IS NOT NULL;

CREATE TABLE wechat_template (
    app text NOT NULL,
    template_id text NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    is_long_term boolean NOT NULL,
    words {json} NOT NULL,
    synced_at bigint NOT NULL,
    changed_at bigint,
    missing_since bigint,
    PRIMARY KEY (app, template_id)
);

CREATE TABLE wechat_grant (
    app text NOT NULL,
    openid text NOT NULL,
    template_id text NOT NULL,
    granted bigint NOT NULL,
    reserved bigint NOT NULL,
    is_long_term boolean NOT NULL,
    refused_at bigint,
    rejected_at bigint,
    PRIMARY KEY (app, openid, template_id)
);
CREATE INDEX wechat_grant_openid ON wechat_grant (openid);

-- Tellings of accepts: one by the client, one by the platform, of which two are paired.
CREATE TABLE wechat_grant_report (
    id text PRIMARY KEY,
    app text NOT NULL,
    openid text NOT NULL,
    template_id text NOT NULL,
    source text NOT NULL,
    prompt text NOT NULL,
    answered_at bigint NOT NULL,
    paired_with text
);
CREATE UNIQUE INDEX wechat_grant_report_once ON wechat_grant_report (app, openid, template_id, source, prompt);
CREATE INDEX wechat_grant_report_time ON wechat_grant_report (answered_at);

CREATE TABLE wechat_message (
    id text PRIMARY KEY,
    app text NOT NULL,
    kind text NOT NULL,
    openid text NOT NULL,
    template_id text,
    page text,
    data {json} NOT NULL,
    sealed {bytes},
    message_key text NOT NULL,
    is_harmless_twice boolean NOT NULL,
    state text NOT NULL,
    holds_grant boolean NOT NULL,
    attempts integer NOT NULL,
    msg_id text,
    class text,
    code bigint,
    reason text,
    rid text,
    not_before bigint NOT NULL,
    expires_at bigint NOT NULL,
    leased_until bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX wechat_message_key ON wechat_message (message_key);
-- A lane carries one message at a time.
CREATE UNIQUE INDEX wechat_message_lane ON wechat_message (app, openid) WHERE state = 'sending';
CREATE INDEX wechat_message_msg_id ON wechat_message (app, msg_id) WHERE msg_id IS NOT NULL;
CREATE INDEX wechat_message_unknown ON wechat_message (app, openid, template_id) WHERE state = 'unknown';
CREATE INDEX wechat_message_open ON wechat_message (expires_at) WHERE state IN ('queued', 'sending');
CREATE INDEX wechat_message_time ON wechat_message (created_at, id);

CREATE TABLE wechat_pause (
    app text NOT NULL,
    lane text NOT NULL,
    paused_until bigint NOT NULL,
    code bigint NOT NULL,
    PRIMARY KEY (app, lane)
);

CREATE TABLE wechat_push (
    id text PRIMARY KEY,
    app text NOT NULL,
    dedupe_key text NOT NULL,
    kind text NOT NULL,
    sealed {bytes},
    received_at bigint NOT NULL,
    handled_at bigint
);
CREATE UNIQUE INDEX wechat_push_once ON wechat_push (dedupe_key);
CREATE INDEX wechat_push_time ON wechat_push (received_at);

CREATE TABLE wechat_content_check (
    id text PRIMARY KEY,
    app text NOT NULL,
    conversation_id text NOT NULL,
    sender text NOT NULL,
    client_message_id text NOT NULL,
    is_picture boolean NOT NULL,
    author_id text NOT NULL,
    is_by_doctor boolean NOT NULL,
    checker text NOT NULL,
    state text NOT NULL,
    verdict text,
    label bigint NOT NULL,
    trace_id text,
    is_held boolean NOT NULL,
    sealed {bytes},
    reviewer text,
    reason text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX wechat_content_check_trace ON wechat_content_check (app, trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX wechat_content_check_state ON wechat_content_check (state, created_at, id);

CREATE TABLE wechat_service_window (
    app text NOT NULL,
    openid text NOT NULL,
    written_at bigint,
    sent_since_written integer NOT NULL,
    entered_at bigint,
    sent_since_entered integer NOT NULL,
    PRIMARY KEY (app, openid)
);

-- Conversations of the assistant whose answers go to the customer-service session too.
CREATE TABLE wechat_relay (
    conversation_id text PRIMARY KEY,
    app text NOT NULL,
    openid text NOT NULL,
    seq bigint NOT NULL,
    is_active boolean NOT NULL
);

CREATE TABLE wechat_inbound (
    id text PRIMARY KEY,
    app text NOT NULL,
    openid text NOT NULL,
    user_id text,
    kind text NOT NULL,
    sealed {bytes} NOT NULL,
    received_at bigint NOT NULL,
    handed_over_at bigint
);
CREATE INDEX wechat_inbound_app ON wechat_inbound (app, received_at, id);
