-- tasklog file format, version 1.
--
-- Tables are singular and interned: events hold numbers. Views are plural, the public face.
-- Times are nanoseconds since 1970 UTC by the clock of their source.

CREATE TABLE meta (
  name TEXT PRIMARY KEY NOT NULL,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES
  ('next_seq', 1),           -- the next event's number; never goes back, even after pruning
  ('intern_generation', 1);  -- goes up when rows of text, key or blob are deleted

-- Text that repeats: hooks, states, addresses, stimuli.
CREATE TABLE text (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Names of tasks: the text that people see, and typed JSON where the key is not just that text.
CREATE TABLE key (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  typed TEXT NOT NULL DEFAULT '',
  UNIQUE (text, typed)
) STRICT;

-- Binary over 256 bytes, by the SHA-256 of its content in hexadecimal.
CREATE TABLE blob (
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  bytes BLOB NOT NULL
) STRICT;

-- One life of a scheduler, from start (or attach) to close or death.
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,               -- UUIDv7, made when recording starts
  engine TEXT NOT NULL,                    -- tasklog, dask, …
  engine_version TEXT NOT NULL,
  recorder_version TEXT NOT NULL,
  mode TEXT NOT NULL,                      -- full: all marks; hooks: public hooks only
  started INTEGER NOT NULL,
  ended INTEGER,
  end TEXT CHECK (end IN ('closed', 'died')),  -- NULL: still running, or not yet found dead
  first_seq INTEGER,
  last_seq INTEGER,
  events INTEGER NOT NULL DEFAULT 0,       -- how many of them are in this file
  spool_position INTEGER,                  -- up to where its spool is in this file
  metadata TEXT NOT NULL DEFAULT '{}'      -- JSON: host, pid, …
) STRICT;

-- Who saw events: the scheduler or one worker of a run.
CREATE TABLE source (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run (id),
  kind TEXT NOT NULL CHECK (kind IN ('scheduler', 'worker')),
  server_id TEXT NOT NULL,                 -- the engine's, never an address
  address TEXT NOT NULL,
  name TEXT NOT NULL DEFAULT 'null',       -- JSON
  number INTEGER,                          -- within its recorder's spool
  UNIQUE (run, server_id)
) STRICT;

-- One call of one hook, or one mark. (source, source_seq) is its identity everywhere,
-- seq the order of arrival in this file.
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,
  source_seq INTEGER NOT NULL,
  time INTEGER NOT NULL,
  hook INTEGER NOT NULL,                   -- text
  key INTEGER,                             -- key
  start INTEGER,                           -- text
  finish INTEGER,                          -- text
  stimulus INTEGER,                        -- text
  worker INTEGER,                          -- text: the address of the worker this is about
  task_run INTEGER,
  args TEXT,                               -- lossless JSON
  snapshot TEXT                            -- lossless JSON
) STRICT;

CREATE UNIQUE INDEX event_identity ON event (source, source_seq);
CREATE INDEX event_key ON event (key) WHERE key IS NOT NULL;

-- Known holes: `count` events of a source from `source_seq` on, lost or removed, and why.
CREATE TABLE gap (
  id INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,
  source_seq INTEGER NOT NULL,
  count INTEGER NOT NULL,
  time INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;

CREATE INDEX gap_source ON gap (source, source_seq);

-- ---------------------------------------------------------------------------------------------
-- Views: documented and stable.

-- Every event, in plain words.
CREATE VIEW events AS
SELECT
  event.seq,
  strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000000, 'unixepoch')
    || printf('.%06dZ', event.time / 1000 % 1000000) AS time,
  source.run,
  source.kind AS source,
  hook.text AS hook,
  key.text AS key,
  (SELECT text FROM text WHERE id = event.start) AS start,
  (SELECT text FROM text WHERE id = event.finish) AS finish,
  (SELECT text FROM text WHERE id = event.stimulus) AS stimulus,
  CASE source.kind WHEN 'worker' THEN source.address
    ELSE (SELECT text FROM text WHERE id = event.worker) END AS worker,
  event.task_run,
  event.args,
  event.snapshot,
  event.time AS time_ns,
  source.server_id,
  event.source_seq,
  key.typed AS key_typed
FROM event
JOIN source ON source.id = event.source
JOIN text AS hook ON hook.id = event.hook
LEFT JOIN key ON key.id = event.key;

-- Every change of a task's state, as the scheduler or a worker saw it.
CREATE VIEW transitions AS
SELECT
  event.seq,
  strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000000, 'unixepoch')
    || printf('.%06dZ', event.time / 1000 % 1000000) AS time,
  source.run,
  source.kind AS source,
  key.text AS key,
  (SELECT text FROM text WHERE id = event.start) AS start,
  (SELECT text FROM text WHERE id = event.finish) AS finish,
  (SELECT text FROM text WHERE id = event.stimulus) AS stimulus,
  CASE source.kind WHEN 'worker' THEN source.address
    ELSE (SELECT text FROM text WHERE id = event.worker) END AS worker,
  event.args,
  event.time AS time_ns
FROM event
JOIN source ON source.id = event.source
JOIN key ON key.id = event.key
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition');

-- Each task of each run: its last state at the scheduler, and what came of its last run on a worker.
CREATE VIEW tasks AS
SELECT
  task.run,
  key.text AS key,
  (SELECT text FROM text WHERE id = last.finish) AS state,
  task.first_seen,
  task.last_seen,
  task.transitions,
  outcome.args ->> '$.worker' AS worker,
  outcome.args ->> '$.nbytes' AS nbytes,
  outcome.args ->> '$.typename' AS typename,
  outcome.args ->> '$.exception_text' AS exception
FROM (
  SELECT
    source.run,
    event.key,
    max(event.seq) AS last_seq,
    max(event.seq) FILTER (
      WHERE event.start = (SELECT id FROM text WHERE text = 'processing')
        AND event.finish IN (SELECT id FROM text WHERE text IN ('memory', 'erred'))
    ) AS outcome_seq,
    min(event.time) AS first_seen,
    max(event.time) AS last_seen,
    count(*) AS transitions
  FROM event
  JOIN source ON source.id = event.source AND source.kind = 'scheduler'
  WHERE event.hook = (SELECT id FROM text WHERE text = 'transition') AND event.key IS NOT NULL
  GROUP BY source.run, event.key
) AS task
JOIN key ON key.id = task.key
JOIN event AS last ON last.seq = task.last_seq
LEFT JOIN event AS outcome ON outcome.seq = task.outcome_seq;

-- What was done for each task, where, and for how long (seconds).
CREATE VIEW task_durations AS
SELECT
  source.run,
  key.text AS key,
  event.args ->> '$.worker' AS worker,
  span.value ->> '$.action' AS action,
  span.value ->> '$.start' AS start,
  span.value ->> '$.stop' AS stop,
  (span.value ->> '$.stop') - (span.value ->> '$.start') AS duration,
  event.seq
FROM event
JOIN source ON source.id = event.source AND source.kind = 'scheduler'
JOIN key ON key.id = event.key
-- A list, or a tuple. Anything else (redacted, capped) has no spans.
JOIN json_each(CASE
  WHEN json_type(event.args, '$.startstops') = 'array' THEN event.args -> '$.startstops'
  WHEN json_type(event.args, '$.startstops."$tuple"') = 'array'
    THEN event.args -> '$.startstops."$tuple"'
  END) AS span
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
  AND CASE WHEN span.type = 'object' THEN span.value ->> '$.action' END IS NOT NULL;

-- Each task that failed on its own; tasks that failed with it name it as their cause.
CREATE VIEW errors AS
SELECT
  event.seq,
  source.run,
  key.text AS key,
  event.args ->> '$.worker' AS worker,
  event.args ->> '$.exception_text' AS exception,
  event.args ->> '$.traceback_text' AS traceback,
  event.time AS time_ns
FROM event
JOIN source ON source.id = event.source AND source.kind = 'scheduler'
JOIN key ON key.id = event.key
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
  AND event.finish = (SELECT id FROM text WHERE text = 'erred')
  AND (event.start = (SELECT id FROM text WHERE text = 'processing')
    OR event.args ->> '$.exception_text' IS NOT NULL);

-- Each worker of each run.
CREATE VIEW workers AS
SELECT
  source.run,
  source.address AS worker,
  source.name,
  source.server_id,
  min(event.time) AS first_seen,
  max(event.time) AS last_seen,
  count(event.seq) AS events
FROM source
LEFT JOIN event ON event.source = source.id
WHERE source.kind = 'worker'
GROUP BY source.id;

-- Each outside event that set transitions off.
CREATE VIEW stimuli AS
SELECT
  source.run,
  text.text AS stimulus,
  min(event.time) AS first_seen,
  max(event.time) AS last_seen,
  count(*) AS events,
  count(DISTINCT event.key) AS keys
FROM event
JOIN source ON source.id = event.source
JOIN text ON text.id = event.stimulus
GROUP BY source.run, event.stimulus;

-- Each run. `end` is NULL for a run that is still going on or that died without anyone noticing:
-- `tasklog runs` tells these two apart.
CREATE VIEW runs AS
SELECT
  run.id AS run,
  run.uuid,
  run.engine,
  run.engine_version,
  run.mode,
  run.started,
  run.ended,
  run.end,
  run.first_seq,
  run.last_seq,
  run.events,
  run.metadata
FROM run;

-- Each known hole in the log.
CREATE VIEW gaps AS
SELECT
  source.run,
  source.kind AS source,
  CASE source.kind WHEN 'worker' THEN source.address END AS worker,
  gap.source_seq,
  gap.count,
  gap.reason,
  gap.time AS time_ns
FROM gap
JOIN source ON source.id = gap.source;
