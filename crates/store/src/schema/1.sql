CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    epoch           INTEGER NOT NULL,
    forgotten       INTEGER NOT NULL,
    forgotten_bytes INTEGER NOT NULL,
    messages_max    INTEGER NOT NULL,
    age_ms_max      INTEGER NOT NULL,
    bytes_max       INTEGER NOT NULL,
    checksum        INTEGER NOT NULL
) STRICT;

CREATE TABLE messages (
    room       INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    time_ms    INTEGER NOT NULL,
    end_bytes  INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    effect     INTEGER NOT NULL,
    expires_ms INTEGER,
    event      TEXT,
    key        TEXT,
    id         TEXT,
    sender     TEXT    NOT NULL,
    door       TEXT    NOT NULL,
    checksum   INTEGER NOT NULL,
    body       BLOB    NOT NULL,
    PRIMARY KEY (room, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    room       INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    time_ms    INTEGER NOT NULL,
    end_bytes  INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    effect     INTEGER NOT NULL,
    expires_ms INTEGER,
    event      TEXT,
    key        TEXT    NOT NULL,
    id         TEXT,
    sender     TEXT    NOT NULL,
    door       TEXT    NOT NULL,
    checksum   INTEGER NOT NULL,
    body       BLOB    NOT NULL,
    PRIMARY KEY (room, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE ids (
    room        INTEGER NOT NULL,
    offset      INTEGER NOT NULL,
    time_ms     INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    sender      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    checksum    INTEGER NOT NULL,
    PRIMARY KEY (room, offset)
) STRICT, WITHOUT ROWID;

CREATE INDEX ids_by_time ON ids (time_ms);

CREATE VIEW history AS
SELECT rooms.name AS room,
       messages.offset AS offset,
       strftime('%Y-%m-%dT%H:%M:%S', messages.time_ms / 1000, 'unixepoch')
           || printf('.%03dZ', messages.time_ms % 1000) AS time,
       messages.sender AS sender,
       messages.door AS door,
       coalesce(messages.event, 'message') AS event,
       messages.key AS key,
       CASE messages.effect WHEN 1 THEN 'set' WHEN 2 THEN 'deleted' WHEN 3 THEN 'expired' END AS effect,
       messages.id AS id,
       CASE messages.kind WHEN 0 THEN 'text' WHEN 1 THEN 'json' WHEN 2 THEN 'binary' END AS kind,
       CASE WHEN messages.kind < 2 THEN CAST(messages.body AS TEXT) ELSE hex(messages.body) END AS body
FROM messages JOIN rooms ON rooms.id = messages.room;

CREATE VIEW keys AS
SELECT rooms.name AS room,
       state.key AS key,
       state.offset AS version,
       strftime('%Y-%m-%dT%H:%M:%S', state.time_ms / 1000, 'unixepoch')
           || printf('.%03dZ', state.time_ms % 1000) AS time,
       strftime('%Y-%m-%dT%H:%M:%S', state.expires_ms / 1000, 'unixepoch')
           || printf('.%03dZ', state.expires_ms % 1000) AS expires,
       state.sender AS sender,
       CASE state.kind WHEN 0 THEN 'text' WHEN 1 THEN 'json' WHEN 2 THEN 'binary' END AS kind,
       CASE WHEN state.kind < 2 THEN CAST(state.body AS TEXT) ELSE hex(state.body) END AS body
FROM state JOIN rooms ON rooms.id = state.room;
