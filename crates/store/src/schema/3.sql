-- The verified sender: U+001F, the name, U+001F, the user in `sender`. The tables hold it as they are; the number keeps older servers, which would show it as a name, away.

DROP VIEW history;
DROP VIEW keys;

CREATE VIEW history AS
SELECT rooms.name AS room,
       messages.offset AS offset,
       strftime('%Y-%m-%dT%H:%M:%S', messages.time_ms / 1000, 'unixepoch')
           || printf('.%03dZ', messages.time_ms % 1000) AS time,
       CASE WHEN substr(messages.sender, 1, 1) <> char(31) THEN messages.sender
            ELSE substr(messages.sender, 2, instr(substr(messages.sender, 2), char(31)) - 1) END AS sender,
       CASE WHEN substr(messages.sender, 1, 1) <> char(31) THEN NULL
            ELSE substr(messages.sender, instr(substr(messages.sender, 2), char(31)) + 2) END AS user,
       messages.door AS door,
       coalesce(messages.event, 'message') AS event,
       messages.key AS key,
       CASE messages.effect WHEN 1 THEN 'set' WHEN 2 THEN 'deleted' WHEN 3 THEN 'expired' END AS effect,
       messages.id AS id,
       CASE messages.kind WHEN 0 THEN 'text' WHEN 1 THEN 'json' WHEN 2 THEN 'binary' WHEN 3 THEN 'args' END AS kind,
       CASE WHEN messages.kind < 2 OR messages.kind = 3 AND instr(messages.body, x'00') = 0 THEN CAST(messages.body AS TEXT)
            WHEN messages.kind = 3 THEN CAST(substr(messages.body, 1, instr(messages.body, x'00') - 1) AS TEXT)
            ELSE hex(messages.body) END AS body
FROM messages JOIN rooms ON rooms.id = messages.room;

CREATE VIEW keys AS
SELECT rooms.name AS room,
       state.key AS key,
       state.offset AS version,
       strftime('%Y-%m-%dT%H:%M:%S', state.time_ms / 1000, 'unixepoch')
           || printf('.%03dZ', state.time_ms % 1000) AS time,
       strftime('%Y-%m-%dT%H:%M:%S', state.expires_ms / 1000, 'unixepoch')
           || printf('.%03dZ', state.expires_ms % 1000) AS expires,
       CASE WHEN substr(state.sender, 1, 1) <> char(31) THEN state.sender
            ELSE substr(state.sender, 2, instr(substr(state.sender, 2), char(31)) - 1) END AS sender,
       CASE WHEN substr(state.sender, 1, 1) <> char(31) THEN NULL
            ELSE substr(state.sender, instr(substr(state.sender, 2), char(31)) + 2) END AS user,
       CASE state.kind WHEN 0 THEN 'text' WHEN 1 THEN 'json' WHEN 2 THEN 'binary' WHEN 3 THEN 'args' END AS kind,
       CASE WHEN state.kind < 2 OR state.kind = 3 AND instr(state.body, x'00') = 0 THEN CAST(state.body AS TEXT)
            WHEN state.kind = 3 THEN CAST(substr(state.body, 1, instr(state.body, x'00') - 1) AS TEXT)
            ELSE hex(state.body) END AS body
FROM state JOIN rooms ON rooms.id = state.room;
