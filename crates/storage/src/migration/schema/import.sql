-- Where imported rows came from: the export's own time of change, to tell a newer export and changes made here.

CREATE TABLE imported_row (
    class text NOT NULL,
    id text NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (class, id)
);
