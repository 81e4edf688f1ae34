-- Conversations, their members, messages, and the log of everything that happens in them.

CREATE TABLE conversation (
    id text PRIMARY KEY,
    kind text NOT NULL,
    consultation_id text,
    name text,
    creator text,
    last_seq bigint NOT NULL,
    last_position bigint NOT NULL,
    last_message_at bigint,
    attributes {json} NOT NULL,
    extra {json} NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
){hot};
CREATE INDEX conversation_service ON conversation (id) WHERE {service};

-- unread = conversation.last_seq - read_seq - own_after_read - recalled_after_read
CREATE TABLE conversation_member (
    conversation_id text NOT NULL,
    client_id text NOT NULL,
    kind text NOT NULL,
    joined_at bigint NOT NULL,
    read_seq bigint NOT NULL DEFAULT 0,
    delivered_seq bigint NOT NULL DEFAULT 0,
    own_after_read bigint NOT NULL DEFAULT 0,
    recalled_after_read bigint NOT NULL DEFAULT 0,
    review_at bigint DEFAULT 0,
    PRIMARY KEY (conversation_id, client_id)
){hot}{keyed};
CREATE INDEX conversation_member_client ON conversation_member (client_id, conversation_id);

-- Content is JSON as text: it goes out as it came in.
CREATE TABLE message (
    position {position} PRIMARY KEY,
    id text NOT NULL,
    conversation_id text NOT NULL,
    seq bigint NOT NULL,
    sender text,
    acted_by text,
    client_message_id text,
    kind text NOT NULL,
    content text NOT NULL,
    corrects text,
    recalled_at bigint,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX message_seq ON message (conversation_id, seq);
CREATE UNIQUE INDEX message_name ON message (conversation_id, sender, client_message_id)
    WHERE client_message_id IS NOT NULL;

-- What is not a message: recalls, reads, members, consultations, assignments, ended sessions.
CREATE TABLE log_event (
    position {position} PRIMARY KEY,
    conversation_id text,
    client_id text,
    kind text NOT NULL,
    payload {json} NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX log_event_conversation ON log_event (conversation_id, position) WHERE conversation_id IS NOT NULL;
CREATE INDEX log_event_client ON log_event (client_id, position) WHERE client_id IS NOT NULL;

-- The last position given. Taking one locks the row until the unit ends, so positions grow in the order of commits.
CREATE TABLE log_head (
    id integer PRIMARY KEY,
    position bigint NOT NULL,
    epoch text NOT NULL
){hot};
INSERT INTO log_head (id, position, epoch) VALUES (1, 0, '');

CREATE TABLE node (
    id text PRIMARY KEY,
    lease_until bigint NOT NULL
);

CREATE TABLE presence (
    node text NOT NULL,
    socket bigint NOT NULL,
    client_id text NOT NULL,
    viewing text,
    PRIMARY KEY (node, socket, client_id)
);
CREATE INDEX presence_client ON presence (client_id);
