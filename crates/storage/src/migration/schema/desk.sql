-- The official assistant and its desk. Documents are JSON as text.

CREATE TABLE assistant (
    id text PRIMARY KEY,
    data text NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);

-- One chat of each customer. agent_id is whoever has it; the desk_agent row counts how many they have.
CREATE TABLE desk_chat (
    conversation_id text PRIMARY KEY,
    customer_id text NOT NULL,
    customer_kind text NOT NULL,
    status text NOT NULL,
    priority bigint NOT NULL,
    queued_at bigint,
    agent_id text,
    assigned_at bigint,
    reason text,
    offered_to text,
    next_action_at bigint,
    labels text NOT NULL,
    detail text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
){hot};
CREATE UNIQUE INDEX desk_chat_customer ON desk_chat (customer_id);
CREATE INDEX desk_chat_queue ON desk_chat (queued_at, conversation_id) WHERE queued_at IS NOT NULL;
CREATE INDEX desk_chat_agent ON desk_chat (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX desk_chat_due ON desk_chat (next_action_at) WHERE next_action_at IS NOT NULL;
CREATE INDEX desk_chat_updated ON desk_chat (updated_at, conversation_id);

CREATE TABLE desk_agent (
    agent_id text PRIMARY KEY,
    status text NOT NULL,
    lease_until bigint,
    capacity bigint NOT NULL,
    load bigint NOT NULL,
    last_assigned_at bigint,
    skills text NOT NULL,
    groups_in text NOT NULL,
    timezone text,
    weekly_hours text NOT NULL,
    hour_exceptions text NOT NULL
){hot};
CREATE INDEX desk_agent_lease ON desk_agent (lease_until);

-- Held by whoever gives waiting chats out.
CREATE TABLE desk_queue (
    id bigint PRIMARY KEY
);
INSERT INTO desk_queue (id) VALUES (1);

CREATE TABLE desk_episode (
    id text PRIMARY KEY,
    conversation_id text NOT NULL,
    customer_kind text NOT NULL,
    number bigint NOT NULL,
    opened_at bigint NOT NULL,
    assigned_at bigint,
    first_reply_at bigint,
    closed_at bigint,
    close_reason text,
    agent_id text,
    reply_count bigint NOT NULL,
    rating bigint,
    comment text,
    rated_at bigint
);
CREATE UNIQUE INDEX desk_episode_number ON desk_episode (conversation_id, number);
CREATE INDEX desk_episode_opened ON desk_episode (opened_at, id);

-- Notes and events between the messages of a chat. Customers never see them.
CREATE TABLE desk_entry (
    id text PRIMARY KEY,
    conversation_id text NOT NULL,
    kind text NOT NULL,
    agent_id text,
    after_seq bigint NOT NULL,
    text text,
    data text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX desk_entry_conversation ON desk_entry (conversation_id, at, id);

CREATE TABLE canned_reply (
    id text PRIMARY KEY,
    scope text NOT NULL,
    owner text NOT NULL,
    group_name text,
    title text NOT NULL,
    shortcut text,
    text text NOT NULL,
    files text NOT NULL,
    pinyin text NOT NULL,
    initials text NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX canned_reply_owner ON canned_reply (owner);
CREATE INDEX canned_reply_scope ON canned_reply (scope);

CREATE TABLE desk_draft (
    agent_id text NOT NULL,
    conversation_id text NOT NULL,
    text text NOT NULL,
    is_note boolean NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (agent_id, conversation_id)
);
