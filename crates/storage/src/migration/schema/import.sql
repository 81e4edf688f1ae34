-- Where files were outside before they came here: texts that were imported refer to them there.
CREATE TABLE file_origin (
    url text PRIMARY KEY,
    file_id text NOT NULL
);

-- Where imported rows came from: the export's own time of change, to tell a newer export and changes made here.

CREATE TABLE imported_row (
    class text NOT NULL,
    id text NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (class, id)
);
