-- Relations, invitations, consultations with their events, and notifications.

CREATE TABLE relation (
    id text PRIMARY KEY,
    doctor_id text NOT NULL,
    patient_id text NOT NULL,
    tags {json} NOT NULL,
    remark text,
    source text,
    is_followed boolean NOT NULL,
    is_blocked boolean NOT NULL,
    groups {json} NOT NULL,
    credit text,
    show_followed_doctor_card boolean NOT NULL,
    latest_consultation_id text,
    latest_report_id text,
    extra {json} NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX relation_doctor ON relation (doctor_id, created_at, id);
CREATE INDEX relation_patient ON relation (patient_id, created_at, id);
-- The last of them: while PostgreSQL knows nothing of a table, it looks up by the youngest of the indexes that would do.
CREATE UNIQUE INDEX relation_pair ON relation (doctor_id, patient_id);

CREATE TABLE invitation (
    id text PRIMARY KEY,
    doctor_id text NOT NULL,
    scene text NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    scan_count bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX invitation_scene ON invitation (scene);
CREATE INDEX invitation_doctor ON invitation (doctor_id, created_at);

CREATE TABLE consultation (
    id text PRIMARY KEY,
    doctor_id text NOT NULL,
    patient_id text NOT NULL,
    relation_id text NOT NULL,
    dialog_id text,
    status text NOT NULL,
    is_invalid boolean NOT NULL,
    end_reason text,
    end_note text,
    kind text NOT NULL,
    price bigint,
    latest_report_id text,
    started_at bigint NOT NULL,
    first_reply_at bigint,
    last_message_at bigint,
    ended_at bigint,
    no_reply_deadline bigint,
    idle_deadline bigint,
    is_warned boolean NOT NULL,
    off_hours_reply_until bigint,
    patient_message_count bigint NOT NULL,
    extra {json} NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX consultation_doctor ON consultation (doctor_id, created_at, id);
CREATE INDEX consultation_patient ON consultation (patient_id, created_at, id);
-- At most one open, valid consultation per pair.
CREATE UNIQUE INDEX consultation_open ON consultation (doctor_id, patient_id) WHERE status <> '2' AND NOT is_invalid;
CREATE INDEX consultation_no_reply ON consultation (no_reply_deadline) WHERE status = '0' AND NOT is_invalid;
CREATE INDEX consultation_idle ON consultation (idle_deadline) WHERE status = '1' AND NOT is_invalid;

CREATE TABLE consultation_event (
    id text NOT NULL,
    consultation_id text NOT NULL,
    event text NOT NULL,
    actor text NOT NULL,
    from_status text,
    to_status text NOT NULL,
    end_reason text,
    note text,
    at bigint NOT NULL,
    PRIMARY KEY (consultation_id, at, id)
){keyed};

CREATE TABLE notification (
    id text PRIMARY KEY,
    recipient_kind text NOT NULL,
    recipient_id text NOT NULL,
    consultation_id text,
    cause text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    channel text,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
){keyed};
CREATE INDEX notification_consultation ON notification (consultation_id, created_at);
CREATE INDEX notification_told ON notification (updated_at) WHERE state = 'sent' AND recipient_kind = 'doctor';
CREATE INDEX notification_answer ON notification (recipient_id, created_at) WHERE cause = 'assistant_answer';
CREATE INDEX notification_unseen ON notification (updated_at)
    WHERE state = 'suppressed' AND reason = 'ONLINE_VIEWING';

-- That records were destroyed when their time was over: those of a relation, or a profile.
CREATE TABLE purge_certificate (
    id text PRIMARY KEY,
    relation_id text,
    doctor_id text,
    patient_id text,
    consultations bigint NOT NULL,
    messages bigint NOT NULL,
    files bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    purged_at bigint NOT NULL
);
CREATE INDEX purge_certificate_time ON purge_certificate (purged_at, id);
CREATE INDEX notification_escalation ON notification (updated_at) WHERE cause = 'escalation';

-- What the desk is asked to look after.
CREATE TABLE desk_task (
    id text PRIMARY KEY,
    consultation_id text NOT NULL,
    state text NOT NULL,
    created_at bigint NOT NULL,
    closed_at bigint,
    closed_by text,
    note text
);
CREATE INDEX desk_task_state ON desk_task (state, created_at, id);
CREATE INDEX desk_task_consultation ON desk_task (consultation_id, created_at);

-- What the recording notifier delivered: one row per notification, whatever happens.
CREATE TABLE delivery (
    notification_id text PRIMARY KEY,
    recipient_kind text NOT NULL,
    recipient_id text NOT NULL,
    channel text NOT NULL,
    cause text NOT NULL,
    consultation_id text,
    delivered_at bigint NOT NULL
){keyed};
