-- Conversations, their members and messages.

CREATE TABLE conversation (
    id text PRIMARY KEY,
    kind text NOT NULL,
    consultation_id text,
    name text,
    creator text,
    last_seq bigint NOT NULL,
    last_message_at bigint,
    attributes {json} NOT NULL,
    extra {json} NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE conversation_member (
    conversation_id text NOT NULL,
    client_id text NOT NULL,
    kind text NOT NULL,
    joined_at bigint NOT NULL,
    PRIMARY KEY (conversation_id, client_id)
);
CREATE INDEX conversation_member_client ON conversation_member (client_id, conversation_id);

CREATE TABLE message (
    id text PRIMARY KEY,
    conversation_id text NOT NULL,
    seq bigint NOT NULL,
    sender text,
    kind text NOT NULL,
    content {json} NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX message_seq ON message (conversation_id, seq);
