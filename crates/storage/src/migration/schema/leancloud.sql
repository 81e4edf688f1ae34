-- Classes the product does not know, as documents with access control lists; their relations.

-- What is known of a class: fields that are relations, fields that ever held an array, fields with an index.
CREATE TABLE document_class (
    name text PRIMARY KEY,
    relation_keys {json} NOT NULL,
    array_keys {json} NOT NULL,
    indexed_keys {json} NOT NULL,
    created_at bigint NOT NULL
);

-- readers and writers: the keys of the acl that may, for the queries; NULL when everybody may.
-- unique_key: the name of a role. geo_*: the object's GeoPoint on the unit sphere.
CREATE TABLE document (
    class text NOT NULL,
    id text NOT NULL,
    data {json} NOT NULL,
    acl {json},
    readers {json},
    writers {json},
    unique_key text,
    geo_key text,
    geo_x double precision,
    geo_y double precision,
    geo_z double precision,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (class, id)
);
CREATE INDEX document_created ON document (class, created_at, id);
CREATE INDEX document_updated ON document (class, updated_at, id);
CREATE UNIQUE INDEX document_unique ON document (class, unique_key) WHERE unique_key IS NOT NULL;

CREATE TABLE document_relation (
    owning_class text NOT NULL,
    owning_id text NOT NULL,
    name text NOT NULL,
    related_class text NOT NULL,
    related_id text NOT NULL,
    PRIMARY KEY (owning_class, owning_id, name, related_id)
);
CREATE INDEX document_relation_name ON document_relation (owning_class, name, related_class);
CREATE INDEX document_relation_member ON document_relation (related_class, related_id, owning_class, name);

-- Session tokens of realtime clients, as hashes: what a client shows to go on after its socket was lost.
CREATE TABLE realtime_ticket (
    token_hash text PRIMARY KEY,
    client_id text NOT NULL,
    tag text,
    device_id text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    superseded_at bigint
);
CREATE INDEX realtime_ticket_client ON realtime_ticket (client_id);

-- Conversations that are the only ones of their kind, e.g. with the same members.
CREATE TABLE conversation_unique (
    key text PRIMARY KEY,
    conversation_id text NOT NULL
);
CREATE INDEX conversation_unique_conversation ON conversation_unique (conversation_id);
