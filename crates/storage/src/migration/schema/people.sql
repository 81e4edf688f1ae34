-- Patients, doctors, their files, and the audit log.
-- Phone numbers are sealed (AES-SIV, decision 0034). {json} is jsonb on PostgreSQL and text on SQLite. Instants are milliseconds since 1970 UTC. Ids are 24 hex digits.

CREATE TABLE patient (
    id text PRIMARY KEY,
    user_id text,
    name text,
    gender text,
    birthday text,
    height_cm double precision,
    weight_kg double precision,
    phone text,
    icon text,
    location text,
    openids {json} NOT NULL,
    unionid text,
    latest_report_id text,
    extra {json} NOT NULL,
    closed_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX patient_closed ON patient (closed_at) WHERE closed_at IS NOT NULL;
CREATE UNIQUE INDEX patient_user ON patient (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX patient_phone ON patient (phone) WHERE phone IS NOT NULL;

CREATE TABLE doctor (
    id text PRIMARY KEY,
    user_id text,
    openid text,
    unionid text,
    name text,
    gender text,
    phone text,
    icon text,
    hospital text,
    department text,
    title text,
    description text,
    certification text NOT NULL,
    certificate1 text,
    certificate2 text,
    licence1 text,
    licence2 text,
    reject_reason text,
    reviewer text,
    reviewed_at bigint,
    start_consultation boolean,
    start_consultation_time text,
    end_consultation_time text,
    timezone text,
    weekly_hours {json} NOT NULL,
    hour_exceptions {json} NOT NULL,
    normal_price bigint,
    phone_price bigint,
    is_normal_open boolean,
    is_phone_open boolean,
    extra {json} NOT NULL,
    closed_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX doctor_closed ON doctor (closed_at) WHERE closed_at IS NOT NULL;
CREATE UNIQUE INDEX doctor_user ON doctor (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX doctor_phone ON doctor (phone) WHERE phone IS NOT NULL;
CREATE INDEX doctor_certification ON doctor (certification, created_at, id);

CREATE TABLE file (
    id text PRIMARY KEY,
    owner_kind text NOT NULL,
    owner_id text,
    name text NOT NULL,
    mime_type text NOT NULL,
    size bigint,
    sha256 text,
    blob_key text,
    url text,
    extra {json} NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE audit_event (
    id text PRIMARY KEY,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    detail {json} NOT NULL,
    at bigint NOT NULL
){keyed};
CREATE INDEX audit_event_time ON audit_event (at, id);
CREATE INDEX audit_event_subject ON audit_event (subject, at);
