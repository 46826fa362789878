-- tasklog file format, version 2 (not released yet).
--
-- The sections below begin with `-- ==`. `tables` and `views` also serve readers of an older log: they
-- create the same tables and views as TEMP objects, so that all code sees this version. So `tables` has
-- CREATE TABLE only, and no table of version 1 gets a new column; indexes of new tables, and what fills
-- them, belong to `data`, which only a migration runs. A view that exists in version 1 is dropped in
-- `data` and created in `views`.
--
-- What needs a table: events are the record. A table is derived from them if a view would have to scan
-- all events for what must be there at once; none of the tables below holds anything that the events do
-- not say, except `source_total.complete_to`. Everything else that a version writes is an event with a
-- hook of its own, an entry in the metadata of a run, or a row of `meta`, and needs no new format:
--
--   label of a run            metadata `labels`; a later change is an event of the hook `label`
--   job, owner of a task      `updateGraph` events: client, span and annotations of what was submitted
--   place of a scheduler      metadata (`host`, `pid`, …)
--   place of a worker         args of its `setup`
--   delivery                  `meta` rows of the copy; what could not be delivered is an event
--   metrics of a worker       `heartbeat` events
--   messages, locks, profiles, plugins, nannies, exit codes and reasons of workers
--                             events, each kind with a hook of its own, found by `hook_event`
--   simulated run             `run.engine` is `simulated`; metadata `simulated` names its source run
--
-- A view is no part of the format: a reader creates those that a log lacks (`NewerSchema`), so later
-- versions add views over such events without a new version of the format.

-- == tables

-- Derived from events as they come in (`DerivedTables`), and created again by a migration.

-- The workers of a run. One may come back at the address of another: from the scheduler's event
-- `first_seq` on the address means this one; 0 for the first that is known there.
CREATE TABLE worker_life (
  run INTEGER NOT NULL,
  worker TEXT NOT NULL,                    -- its address
  first_seq INTEGER NOT NULL,
  life INTEGER NOT NULL,                   -- 1 for the first at this address
  server_id TEXT,                          -- as that of its source
  name TEXT,                               -- JSON
  nthreads INTEGER,
  joined_ns INTEGER,
  left_ns INTEGER,
  gone_seq INTEGER,                        -- the event that says that it left or closed
  gone_ns INTEGER,
  PRIMARY KEY (run, worker, first_seq)
) STRICT, WITHOUT ROWID;

-- By how much the clock of a worker is behind the scheduler's, from its event `source_seq` on; 0 for
-- the first that is known of it, which holds for all before. Where there is none it was not measured.
CREATE TABLE clock_offset (
  source INTEGER NOT NULL,
  source_seq INTEGER NOT NULL,
  offset INTEGER NOT NULL,                 -- nanoseconds to be added to its times
  uncertainty INTEGER NOT NULL,            -- nanoseconds by which that may be wrong
  PRIMARY KEY (source, source_seq)
) STRICT, WITHOUT ROWID;

-- Tasks that were given to another worker while they were processing: work stealing.
CREATE TABLE task_move (
  source INTEGER NOT NULL,
  key INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  time INTEGER NOT NULL,
  worker TEXT NOT NULL,                    -- the address of the one that has stolen it
  PRIMARY KEY (source, key, seq)
) STRICT, WITHOUT ROWID;

-- Each interval in which a worker was registered with a scheduler, and the number of tasks that ended
-- there (came to memory or erred) as the scheduler saw it. Compared with `source_total.tasks_ended` it
-- says how many events of a worker are missing at least.
CREATE TABLE worker_registration (
  source INTEGER NOT NULL,                 -- the scheduler
  worker TEXT NOT NULL,                    -- its address
  joined_seq INTEGER NOT NULL,             -- `addWorker`; 0 if it was there before
  removed_seq INTEGER,                     -- NULL if it was not removed
  tasks_ended INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (source, worker, joined_seq)
) STRICT, WITHOUT ROWID;

-- Totals: written in the transaction of the events that they count, compared with them by
-- `tasklog check`, and read instead of a scan by `tasklog runs`, `tasklog inspect` and the views `runs`
-- and `event_kinds`. Events that are gone without a gap at the end of a source show here only.
-- What a look at the last event of each source or at `gap` tells (times, missing events) is not stored.

-- Each source. It has row IDs, so that a salvage finds its rows in a damaged file, knows how many events
-- of which source are lost, and keeps `complete_to`, which no event says.
CREATE TABLE source_total (
  source INTEGER PRIMARY KEY,
  events INTEGER NOT NULL DEFAULT 0,       -- in this file
  tasks_ended INTEGER NOT NULL DEFAULT 0,  -- on this worker, by its own events; 0 for a scheduler
  complete_to INTEGER                      -- up to this source_seq nothing is missing, although none of
                                           -- its own events says that it ended
) STRICT;

-- Each run. A run without a row has no totals: readers count its events.
CREATE TABLE run_total (
  run INTEGER PRIMARY KEY,
  tasks INTEGER NOT NULL DEFAULT 0,        -- different keys of its events
  failed INTEGER NOT NULL DEFAULT 0        -- those of them that ever became erred at the scheduler
) STRICT;

-- Each kind of event of a run: by kind of source and not by source, so that a commit of a thousand
-- workers' heartbeats changes one row.
CREATE TABLE event_total (
  run INTEGER NOT NULL,
  source_kind TEXT NOT NULL,               -- source.kind
  hook INTEGER NOT NULL,                   -- text
  events INTEGER NOT NULL DEFAULT 0,
  args_bytes INTEGER NOT NULL DEFAULT 0,
  snapshot_bytes INTEGER NOT NULL DEFAULT 0,
  redacted INTEGER NOT NULL DEFAULT 0,     -- events with redacted values
  truncated INTEGER NOT NULL DEFAULT 0,    -- events with truncated values
  PRIMARY KEY (run, source_kind, hook)
) STRICT, WITHOUT ROWID;

-- The events of rare hooks: an index, which SQLite cannot have over a part of `event` that depends on
-- `text`. Without it, finding the few graphs, labels, messages or closed workers among 10^8 events is a
-- scan of all. Hooks of which there are some for every task or every second are not in it: transition,
-- stimulus, heartbeat, clientDesiresKeys, clientReleasesKeys, addReplica, removeReplica, report.
CREATE TABLE hook_event (
  hook INTEGER NOT NULL,                   -- text
  seq INTEGER NOT NULL,
  PRIMARY KEY (hook, seq)
) STRICT, WITHOUT ROWID;

-- == data

-- How many rows there are of `text`, `key` and `blob`, and their bytes; kept by whoever inserts or deletes
-- them.
INSERT INTO meta
SELECT 'texts', count(*) FROM text UNION ALL SELECT 'keys', count(*) FROM key
UNION ALL SELECT 'blobs', count(*) FROM blob
UNION ALL SELECT 'blob_bytes', coalesce(sum(length(bytes)), 0) FROM blob;

CREATE INDEX worker_life_server ON worker_life (run, server_id);

DROP VIEW events;
DROP VIEW transitions;
DROP VIEW task_durations;
DROP VIEW slowest;
DROP VIEW stays;
DROP VIEW open_tasks;
DROP VIEW prefixes;
DROP VIEW prefix_states;
DROP VIEW dependencies;
DROP VIEW critical_path;
DROP VIEW tasks;
DROP VIEW workers;
DROP VIEW stimuli;
DROP VIEW stories;
DROP VIEW gaps;
DROP VIEW failures;
DROP VIEW errors;
DROP VIEW error_causes;
DROP VIEW runs;
DROP VIEW event_kinds;
DROP VIEW run_differences;

-- A third kind of source: a command that adds to a run what only others know, while it is recorded or
-- afterwards (a label, why the cluster's manager ended a worker). It cannot number its events as those of
-- the scheduler, whose recorder does that, so it is a source, with a server_id of its own each time.
-- Made anew, as SQLite cannot change a CHECK: https://sqlite.org/lang_altertable.html
CREATE TABLE source_of_version_2 (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run (id),
  kind TEXT NOT NULL CHECK (kind IN ('scheduler', 'worker', 'command')),
  server_id TEXT NOT NULL,                 -- the engine's, never an address
  address TEXT NOT NULL,
  name TEXT NOT NULL DEFAULT 'null',       -- JSON
  number INTEGER,                          -- within its recorder's spool
  UNIQUE (run, server_id)
) STRICT;
INSERT INTO source_of_version_2 SELECT id, run, kind, server_id, address, name, number FROM source;
DROP TABLE source;
ALTER TABLE source_of_version_2 RENAME TO source;

-- == views

-- Times are by the scheduler's clock: those of a worker are corrected by what `clock_offset` knows of
-- its clock. `raw_time_ns` is what its own clock said. `life` tells workers apart that were at one
-- address one after the other: 1 for the first, 0 for one of which only its own events are known
-- where the scheduler tells of others. (run, worker, life) is one worker, as in `workers`.

-- Every event, in plain words.
CREATE VIEW events AS
SELECT
  event.seq,
  strftime('%Y-%m-%dT%H:%M:%S', event.at / 1000000000, 'unixepoch')
    || printf('.%06dZ', event.at / 1000 % 1000000) AS time,
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
  event.at AS time_ns,
  source.server_id,
  event.source_seq,
  key.typed AS key_typed,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT text FROM text WHERE id = key.key_group) AS key_group,
  event.time AS raw_time_ns,
  CASE
    WHEN source.kind = 'worker' THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address AND worker_life.server_id = source.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address LIMIT 1), 1)
    WHEN event.worker IS NOT NULL THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = (SELECT text FROM text WHERE id = event.worker) AND first_seq <= event.seq
      ORDER BY first_seq DESC LIMIT 1), 1)
  END AS life
FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
JOIN source ON source.id = event.source
JOIN text AS hook ON hook.id = event.hook
LEFT JOIN key ON key.id = event.key;


-- Every change of a task's state, as the scheduler or a worker saw it.
CREATE VIEW transitions AS
SELECT
  event.seq,
  strftime('%Y-%m-%dT%H:%M:%S', event.at / 1000000000, 'unixepoch')
    || printf('.%06dZ', event.at / 1000 % 1000000) AS time,
  source.run,
  source.kind AS source,
  key.text AS key,
  (SELECT text FROM text WHERE id = event.start) AS start,
  (SELECT text FROM text WHERE id = event.finish) AS finish,
  (SELECT text FROM text WHERE id = event.stimulus) AS stimulus,
  CASE source.kind WHEN 'worker' THEN source.address
    ELSE (SELECT text FROM text WHERE id = event.worker) END AS worker,
  event.args,
  event.at AS time_ns,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  event.time AS raw_time_ns,
  CASE
    WHEN source.kind = 'worker' THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address AND worker_life.server_id = source.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address LIMIT 1), 1)
    WHEN event.worker IS NOT NULL THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = (SELECT text FROM text WHERE id = event.worker) AND first_seq <= event.seq
      ORDER BY first_seq DESC LIMIT 1), 1)
  END AS life
FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
JOIN source ON source.id = event.source
JOIN key ON key.id = event.key
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition');

-- What was done for each task, where, and for how long (seconds). Dask's workers tell by the
-- scheduler's clock when they computed and fetched, and by their own when they wrote to disk and read
-- from there.
CREATE VIEW task_durations AS
SELECT
  run, key, worker, action,
  CASE WHEN clock IS NULL THEN start ELSE start + clock END AS start,
  CASE WHEN clock IS NULL THEN stop ELSE stop + clock END AS stop,
  duration, seq, prefix, life
FROM (SELECT *, CASE WHEN action IN ('disk-read', 'disk-write') THEN (
    SELECT offset / 1e9 FROM clock_offset JOIN source ON source.id = clock_offset.source
    JOIN run ON run.id = source.run AND run.engine = 'dask'
    WHERE source.run = measured.run AND source.address = measured.worker AND source.kind = 'worker'
      AND coalesce(source.server_id = (SELECT server_id FROM worker_life
        WHERE worker_life.run = measured.run AND worker_life.worker = measured.worker
          AND worker_life.life = measured.life), 1)
    ORDER BY source_seq DESC LIMIT 1) END AS clock
FROM (SELECT
  source.run,
  key.text AS key,
  event.args ->> '$.worker' AS worker,
  span.value ->> '$.action' AS action,
  span.value ->> '$.start' AS start,
  span.value ->> '$.stop' AS stop,
  (span.value ->> '$.stop') - (span.value ->> '$.start') AS duration,
  event.seq,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  CASE WHEN event.args ->> '$.worker' IS NOT NULL THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = event.args ->> '$.worker' AND first_seq <= event.seq
      ORDER BY first_seq DESC LIMIT 1), 1) END AS life
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
  AND CASE WHEN span.type = 'object' THEN span.value ->> '$.action' END IS NOT NULL) AS measured);

-- Each span of work, the longest first.
CREATE VIEW slowest AS
SELECT run, key, prefix, worker, action, round(duration, 6) AS seconds, start, stop, seq, life
FROM task_durations
ORDER BY duration DESC, seq, start;

-- Each interval that a task was in a state, at the scheduler or at one worker: from the event that
-- brought it there to the next one, which is NULL for an interval without an end. `worker` is the one
-- that a task was given to, or that has stolen it since. `gone_seq` is the event with which the worker
-- of a worker's interval left. The states at a moment are the intervals with seq <= moment
-- AND coalesce(next_seq > moment, 1) AND coalesce(gone_seq > moment, 1).
CREATE VIEW state_intervals AS
SELECT
  run, source, worker, key, prefix, state, seq, next_seq, start_ns, stop_ns,
  (stop_ns - start_ns) / 1e9 AS seconds,
  CASE
    WHEN source = 'worker' THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = given.run
      AND worker_life.worker = given.address AND worker_life.server_id = given.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = given.run
      AND worker_life.worker = given.address LIMIT 1), 1)
    WHEN worker IS NOT NULL THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = given.run
      AND worker_life.worker = given.worker AND first_seq <= coalesce(given.move_seq, given.seq)
      ORDER BY first_seq DESC LIMIT 1), 1)
  END AS life,
  CASE WHEN source = 'worker' THEN (SELECT gone_seq FROM worker_life
    WHERE worker_life.run = given.run AND worker_life.worker = given.address
      AND worker_life.server_id = given.server_id) END AS gone_seq
FROM (
  SELECT
    run, kind AS source, address, server_id,
    CASE kind WHEN 'worker' THEN address ELSE coalesce(
      (SELECT worker FROM task_move WHERE task_move.source = interval.source_id
        AND task_move.key = interval.key_id AND task_move.seq = interval.move_seq),
      (SELECT text FROM text WHERE id = given_to)) END AS worker,
    key, (SELECT text FROM text WHERE id = prefix_id) AS prefix,
    (SELECT text FROM text WHERE id = finish) AS state,
    seq, next_seq, start_ns, stop_ns, move_seq
  FROM (
    SELECT *, CASE WHEN kind = 'scheduler' THEN (SELECT max(task_move.seq) FROM task_move
      WHERE task_move.source = source_id AND task_move.key = key_id
        AND task_move.seq > step.seq AND task_move.seq < coalesce(next_seq, 9e18)) END AS move_seq
    FROM (
      SELECT
        source.run, source.kind, source.address, source.server_id, source.id AS source_id,
        key.id AS key_id, key.text AS key, key.prefix AS prefix_id,
        event.worker AS given_to, event.finish, event.seq,
        lead(event.seq) OVER task AS next_seq,
        event.at AS start_ns,
        lead(event.at) OVER task AS stop_ns
      FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
      JOIN source ON source.id = event.source
      JOIN key ON key.id = event.key
      WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
        AND event.finish IS NOT NULL AND event.start IS NOT event.finish
      WINDOW task AS (PARTITION BY source.id, key.id, key.text ORDER BY event.source_seq)
    ) AS step
  ) AS interval
) AS given;

-- The name of `state_intervals` in version 1.
CREATE VIEW stays AS SELECT * FROM state_intervals;

-- What was unfinished at the end of the log, at the scheduler and at the workers that had not left.
CREATE VIEW open_tasks AS
SELECT
  run, source, worker, key, prefix, state, seq, start_ns,
  ((SELECT max(last.at) FROM source AS seen JOIN (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS last ON last.seq = (
      SELECT seq FROM event WHERE event.source = seen.id ORDER BY source_seq DESC LIMIT 1)
    WHERE seen.run = state_intervals.run) - start_ns) / 1e9 AS seconds,
  life
FROM state_intervals
WHERE next_seq IS NULL AND gone_seq IS NULL
  AND state NOT IN ('memory', 'erred', 'error', 'released', 'forgotten');


-- How long the tasks of each prefix were in each state: only intervals that have ended. Percentiles are
-- nearest ranks: times that were really taken.
CREATE VIEW prefix_states AS
SELECT
  run, prefix, source, state, count(*) AS count, sum(nanoseconds) / 1e9 AS seconds,
  max(nanoseconds) FILTER (WHERE rank = (count * 50 + 99) / 100) / 1e9 AS p50,
  max(nanoseconds) FILTER (WHERE rank = (count * 95 + 99) / 100) / 1e9 AS p95,
  max(nanoseconds) / 1e9 AS max
FROM (
  SELECT run, prefix, source, state, stop_ns - start_ns AS nanoseconds,
    row_number() OVER (
      PARTITION BY run, prefix, source, state ORDER BY stop_ns - start_ns) AS rank,
    count(*) OVER (PARTITION BY run, prefix, source, state) AS count
  FROM state_intervals
  WHERE next_seq IS NOT NULL AND state != 'forgotten'
)
GROUP BY run, prefix, source, state
ORDER BY run, prefix, source, state;

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
  (SELECT exception FROM failure_texts WHERE failure_texts.seq = outcome.seq) AS exception,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT text FROM text WHERE id = key.key_group) AS key_group,
  task.dispatch_count,
  task.done,
  task.failures,
  CASE WHEN outcome.args ->> '$.worker' IS NOT NULL THEN
    coalesce((SELECT life FROM worker_life WHERE worker_life.run = task.run
      AND worker_life.worker = outcome.args ->> '$.worker' AND first_seq <= outcome.seq
      ORDER BY first_seq DESC LIMIT 1), 1) END AS life
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
    count(*) AS transitions,
    -- How often it was given to a worker, came to memory, and erred, on its own or with another.
    count(*) FILTER (
      WHERE event.finish = (SELECT id FROM text WHERE text = 'processing')
        AND event.start IS NOT event.finish) AS dispatch_count,
    count(*) FILTER (
      WHERE event.finish = (SELECT id FROM text WHERE text = 'memory')
        AND event.start IS NOT event.finish) AS done,
    count(*) FILTER (
      WHERE event.finish = (SELECT id FROM text WHERE text = 'erred')
        AND event.start IS NOT event.finish) AS failures
  FROM event
  JOIN source ON source.id = event.source AND source.kind = 'scheduler'
  WHERE event.hook = (SELECT id FROM text WHERE text = 'transition') AND event.key IS NOT NULL
  GROUP BY source.run, event.key
) AS task
JOIN key ON key.id = task.key
JOIN event AS last ON last.seq = task.last_seq
LEFT JOIN event AS outcome ON outcome.seq = task.outcome_seq;

-- Each prefix of each run: how many tasks, and how many of them came to memory, ever failed, or were
-- given to a worker more than once; the bytes of their last results, the seconds computed.
CREATE VIEW prefixes AS
SELECT
  task.run,
  task.prefix,
  count(*) AS tasks,
  sum(task.done > 0) AS done,
  sum(task.failures > 0) AS failed,
  sum(task.dispatch_count > 1) AS retried,
  coalesce(sum(task.nbytes), 0) AS nbytes,
  round(coalesce(spans.seconds, 0.0), 6) AS compute
FROM tasks AS task
LEFT JOIN (
  SELECT run, prefix, sum(duration) AS seconds FROM task_durations
  WHERE action = 'compute' GROUP BY run, prefix
) AS spans ON spans.run = task.run AND spans.prefix IS task.prefix
GROUP BY task.run, task.prefix
ORDER BY task.run, task.prefix;

-- Each worker of each run: when it joined and left by the scheduler's word, and what it did. One that
-- came back at the address of another is one of its own: `life` counts them. `tasks` came to memory
-- and `failed` erred there; `nbytes` are those of its results. `busy` are the seconds that its
-- threads computed, `utilization` is that as a part of what they could have computed; `occupancy` is how many tasks it had
-- been given at a time, on average. `clock_offset` are the seconds that its clock was behind the
-- scheduler's at last, give or take `clock_uncertainty`; NULL where nobody has measured it.
CREATE VIEW workers AS
WITH
  life AS MATERIALIZED (
    SELECT
      known.run, known.worker, known.life, coalesce(source.name, known.name, 'null') AS name,
      known.server_id, source.id AS source, known.joined_ns, known.left_ns, known.nthreads
    FROM worker_life AS known
    LEFT JOIN source ON source.run = known.run AND source.server_id = known.server_id
      AND source.kind = 'worker' AND source.address = known.worker
    UNION ALL
    -- Workers of which nothing but their own events is known.
    SELECT run, address,
      coalesce((SELECT 0 FROM worker_life WHERE worker_life.run = source.run
        AND worker_life.worker = source.address LIMIT 1), 1),
      name, server_id, id, NULL, NULL, NULL FROM source
    WHERE kind = 'worker' AND NOT EXISTS (
      SELECT 1 FROM worker_life WHERE worker_life.run = source.run
        AND worker_life.worker = source.address AND worker_life.server_id = source.server_id)
  ),
  seen AS MATERIALIZED (
    SELECT event.source, min(event.at) AS first, max(event.at) AS last, count(*) AS events
    FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
    JOIN source ON source.id = event.source AND source.kind = 'worker'
    GROUP BY event.source
  ),
  ends AS MATERIALIZED (
    SELECT source.run, max(event.at) AS time
    FROM source JOIN (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event ON event.seq = (
      SELECT seq FROM event WHERE event.source = source.id ORDER BY source_seq DESC LIMIT 1)
    GROUP BY source.run
  ),
  outcomes AS MATERIALIZED (
    SELECT
      run, worker, coalesce((SELECT life FROM worker_life WHERE worker_life.run = outcome.run
      AND worker_life.worker = outcome.worker AND first_seq <= outcome.seq
      ORDER BY first_seq DESC LIMIT 1), 1) AS life,
      sum(finish = (SELECT id FROM text WHERE text = 'memory')) AS tasks,
      sum(finish = (SELECT id FROM text WHERE text = 'erred')) AS failed,
      sum(CASE WHEN finish = (SELECT id FROM text WHERE text = 'memory') THEN nbytes END) AS nbytes
    FROM (
      SELECT source.run, event.seq, event.finish, event.args ->> '$.worker' AS worker,
        event.args ->> '$.nbytes' AS nbytes
      FROM event
      JOIN source ON source.id = event.source AND source.kind = 'scheduler'
      WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
        AND event.start = (SELECT id FROM text WHERE text = 'processing')
        AND event.finish IN (SELECT id FROM text WHERE text IN ('memory', 'erred'))
    ) AS outcome
    GROUP BY 1, 2, 3
  ),
  spans AS MATERIALIZED (
    SELECT run, worker, life, sum(duration) AS seconds FROM task_durations
    WHERE action = 'compute' GROUP BY run, worker, life
  ),
  -- A task that was stolen was given to one worker up to there, and then to the other.
  given AS MATERIALIZED (
    SELECT run, worker, coalesce((SELECT life FROM worker_life WHERE worker_life.run = step.run
      AND worker_life.worker = step.worker AND first_seq <= step.seq
      ORDER BY first_seq DESC LIMIT 1), 1) AS life,
      sum(stop - start) AS nanoseconds
    FROM (
      SELECT run, seq, worker, time AS start, is_processing,
        lead(time) OVER (PARTITION BY source, key ORDER BY seq) AS stop
      FROM (
        SELECT source.run, event.source, event.key, event.seq, event.time,
          event.finish = (SELECT id FROM text WHERE text = 'processing') AS is_processing,
          (SELECT text FROM text WHERE id = event.worker) AS worker
        FROM event
        JOIN source ON source.id = event.source AND source.kind = 'scheduler'
        JOIN key ON key.id = event.key
        WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
          AND event.finish IS NOT NULL AND event.start IS NOT event.finish
        UNION ALL
        SELECT source.run, source.id, task_move.key, task_move.seq, task_move.time, 1,
          task_move.worker
        FROM task_move JOIN source ON source.id = task_move.source
      )
    ) AS step
    WHERE is_processing AND stop IS NOT NULL AND worker IS NOT NULL
    GROUP BY 1, 2, 3
  )
SELECT
  life.run,
  life.worker,
  life.name,
  life.server_id,
  seen.first AS first_seen,
  seen.last AS last_seen,
  coalesce(seen.events, 0) AS events,
  life.joined_ns,
  life.left_ns,
  life.nthreads,
  coalesce(outcomes.tasks, 0) AS tasks,
  coalesce(outcomes.failed, 0) AS failed,
  coalesce(outcomes.nbytes, 0) AS nbytes,
  round(coalesce(spans.seconds, 0.0), 6) AS busy,
  round(coalesce(spans.seconds, 0.0) * 1e9 / max(coalesce(life.nthreads, 1), 1)
    / (coalesce(life.left_ns, ends.time) - coalesce(life.joined_ns, seen.first)), 4)
    AS utilization,
  round(coalesce(given.nanoseconds, 0) * 1.0
    / (coalesce(life.left_ns, ends.time) - coalesce(life.joined_ns, seen.first)), 2)
    AS occupancy,
  life.life,
  (SELECT offset / 1e9 FROM clock_offset WHERE clock_offset.source = life.source
    ORDER BY source_seq DESC LIMIT 1) AS clock_offset,
  (SELECT uncertainty / 1e9 FROM clock_offset WHERE clock_offset.source = life.source
    ORDER BY source_seq DESC LIMIT 1) AS clock_uncertainty
FROM life
LEFT JOIN seen ON seen.source = life.source
LEFT JOIN ends ON ends.run = life.run
LEFT JOIN outcomes ON outcomes.run = life.run AND outcomes.worker = life.worker
  AND outcomes.life = life.life
LEFT JOIN spans ON spans.run = life.run AND spans.worker = life.worker AND spans.life = life.life
LEFT JOIN given ON given.run = life.run AND given.worker = life.worker AND given.life = life.life
ORDER BY life.run, coalesce(life.joined_ns, seen.first, ends.time + 1), life.worker, life.life;

-- Each task with what it needs: as graphs were submitted, as a recorder found it when it was attached
-- to a scheduler, and as tasks came without a graph (scattered data). Where a key may have a NUL, its
-- JSON is taken as it stands: some SQLite cut such a text, and a key that has one is found by its JSON
-- only.
CREATE VIEW dependencies AS
WITH
  -- The columns are calculated once for an event: a graph and its keys may be megabytes.
  submitted AS MATERIALIZED (
    SELECT seq, run, graph, tasks, instr(tasks, '\u0000') > 0 AS may_have_nul
    FROM (
      SELECT event.seq, source.run,
        coalesce(event.snapshot -> '$.graph', event.snapshot -> '$.attach.tasks') AS graph,
        CASE
          WHEN json_type(event.args, '$.tasks') = 'array' THEN event.args -> '$.tasks'
          WHEN json_type(event.args, '$.tasks."$tuple"') = 'array'
            THEN event.args -> '$.tasks."$tuple"'
        END AS tasks
      FROM event
      JOIN source ON source.id = event.source AND source.kind = 'scheduler'
      WHERE event.hook IN (
          SELECT id FROM text WHERE text IN ('updateGraph', 'attach', 'stimulus'))
        AND event.snapshot IS NOT NULL)
    WHERE graph IS NOT NULL
  ),
  graph AS MATERIALIZED (
    SELECT seq, run, position, task, dependencies, instr(dependencies, '\u0000') > 0 AS may_have_nul
    FROM (
      SELECT submitted.seq, submitted.run, task.key AS position, task.value -> '$.key' AS task,
        task.value -> '$.dependencies' AS dependencies
      FROM submitted JOIN json_each(submitted.graph) AS task
      WHERE task.type = 'object')
    WHERE dependencies IS NOT NULL
  ),
  -- Dask's graphs have the keys of their tasks in the args only.
  elsewhere AS MATERIALIZED (
    SELECT submitted.seq, task.key AS position,
      CASE
        WHEN task.type IN ('object', 'array') THEN task.value
        WHEN may_have_nul THEN submitted.tasks -> task.key
        ELSE json_quote(task.value)
      END AS task
    FROM submitted JOIN json_each(submitted.tasks) AS task
    WHERE EXISTS (SELECT 1 FROM graph WHERE graph.seq = submitted.seq AND graph.task IS NULL)
  ),
  edge AS MATERIALIZED (
    SELECT graph.run, coalesce(graph.task, elsewhere.task) AS task,
      CASE
        WHEN dependency.type IN ('object', 'array') THEN dependency.value
        WHEN may_have_nul THEN graph.dependencies -> dependency.key
        ELSE json_quote(dependency.value)
      END AS dependency
    FROM graph
    LEFT JOIN elsewhere ON elsewhere.seq = graph.seq AND elsewhere.position = graph.position
    JOIN json_each(graph.dependencies) AS dependency
  )
SELECT DISTINCT
  edge.run, key.text AS key, dependency.text AS dependency,
  key.id AS key_id, dependency.id AS dependency_id
FROM edge
LEFT JOIN key AS plain_key
  ON json_type(edge.task) = 'text' AND plain_key.text = edge.task ->> '$'
    AND plain_key.typed = '' AND instr(replace(edge.task, '\\', ''), '\u0000') = 0
LEFT JOIN key AS typed_key ON typed_key.typed = edge.task AND typed_key.typed != ''
LEFT JOIN key AS plain_dependency
  ON json_type(edge.dependency) = 'text' AND plain_dependency.text = edge.dependency ->> '$'
    AND plain_dependency.typed = '' AND instr(replace(edge.dependency, '\\', ''), '\u0000') = 0
LEFT JOIN key AS typed_dependency
  ON typed_dependency.typed = edge.dependency AND typed_dependency.typed != ''
JOIN key ON key.id = coalesce(plain_key.id, typed_key.id)
JOIN key AS dependency ON dependency.id = coalesce(plain_dependency.id, typed_dependency.id);

-- The chain of tasks and waits that set the length of each run, its end first found: the task that
-- ended last, the dependency that came last before it was given to a worker, and so on. Each task
-- is up to five phases that follow on each other: `wait` at the scheduler, `queue` at the worker,
-- `transfer` of dependencies, `compute`, and `report` until the scheduler knew.
CREATE VIEW critical_path AS
WITH RECURSIVE
  needs AS MATERIALIZED (SELECT run, key_id, dependency_id FROM dependencies),
  outcome AS MATERIALIZED (
    SELECT source.run, event.seq, event.key, event.time, event.source, event.finish
    FROM event
    JOIN source ON source.id = event.source AND source.kind = 'scheduler'
    WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
      AND event.start = (SELECT id FROM text WHERE text = 'processing')
      AND event.finish IN (SELECT id FROM text WHERE text IN ('memory', 'erred'))
  ),
  -- From the last outcome back to the one that came last before this task was sent to a worker.
  path (run, position, seq) AS (
    SELECT run, 0, max(seq) FROM outcome GROUP BY run
    UNION ALL
    SELECT path.run, path.position - 1, (
      SELECT max(outcome.seq) FROM needs
      JOIN outcome ON outcome.run = needs.run AND outcome.key = needs.dependency_id
        AND outcome.finish = (SELECT id FROM text WHERE text = 'memory')
      WHERE needs.run = path.run
        AND needs.key_id = (SELECT key FROM event WHERE seq = path.seq)
        AND outcome.seq < (
          SELECT max(sent.seq) FROM event AS sent, event AS done
          WHERE done.seq = path.seq AND sent.key = done.key AND sent.source = done.source
            AND sent.seq < done.seq
            AND sent.finish = (SELECT id FROM text WHERE text = 'processing')))
    FROM path
    WHERE path.seq IS NOT NULL
  ),
  chain AS MATERIALIZED (
    SELECT run, position, seq, lag(seq) OVER (PARTITION BY run ORDER BY position) AS before_seq
    FROM path WHERE seq IS NOT NULL
  ),
  -- When each task of the chain could begin, was sent, computed and was known to be done.
  task AS MATERIALIZED (
    SELECT
      chain.run, chain.position, done.key, done.seq, done.args ->> '$.worker' AS worker,
      coalesce(
        (SELECT time FROM event WHERE seq = chain.before_seq),
        (SELECT min(first.time) FROM event AS first
          WHERE first.key = done.key AND first.source = done.source
            AND first.seq < done.seq AND first.hook = done.hook)) AS ready,
      (SELECT sent.time FROM event AS sent
        WHERE sent.key = done.key AND sent.source = done.source AND sent.seq < done.seq
          AND sent.finish = done.start ORDER BY sent.seq DESC LIMIT 1) AS sent,
      done.time AS done,
      (SELECT CAST(round(min(start) * 1e6) AS INTEGER) * 1000 FROM task_durations
        WHERE task_durations.seq = done.seq AND action = 'compute') AS started,
      (SELECT CAST(round(max(stop) * 1e6) AS INTEGER) * 1000 FROM task_durations
        WHERE task_durations.seq = done.seq AND action = 'compute') AS stopped,
      (SELECT CAST(round(min(start) * 1e6) AS INTEGER) * 1000 FROM task_durations
        WHERE task_durations.seq = done.seq AND action = 'transfer') AS fetched_from,
      (SELECT CAST(round(max(stop) * 1e6) AS INTEGER) * 1000 FROM task_durations
        WHERE task_durations.seq = done.seq AND action = 'transfer') AS fetched_to
    FROM chain JOIN event AS done ON done.seq = chain.seq
  ),
  -- The clocks of workers are their own: what they tell is kept between what the scheduler saw.
  span AS MATERIALIZED (
    SELECT run, position, key, seq, worker, ready, sent, done,
      min(max(coalesce(started, sent), sent), done) AS started,
      min(max(coalesce(stopped, done), coalesce(started, sent), sent), done) AS stopped,
      min(max(coalesce(fetched_from, sent), sent), coalesce(started, done), done) AS fetched_from,
      min(max(coalesce(fetched_to, sent), sent), coalesce(started, done), done) AS fetched_to
    FROM (
      SELECT run, position, key, seq, worker, ready, max(sent, ready) AS sent, done, started, stopped,
        fetched_from, fetched_to
      FROM task)
  ),
  phase AS (
    SELECT run, position, part, key, seq,
      CASE part WHEN 1 THEN 'wait' WHEN 3 THEN 'transfer' WHEN 5 THEN 'compute' WHEN 6 THEN 'report'
        ELSE 'queue' END AS phase,
      CASE WHEN part > 1 THEN worker END AS worker,
      CASE part
        WHEN 1 THEN ready
        WHEN 2 THEN sent
        WHEN 3 THEN fetched_from
        WHEN 4 THEN CASE WHEN fetched_to > fetched_from THEN fetched_to ELSE sent END
        WHEN 5 THEN started
        ELSE stopped
      END AS start_ns,
      CASE part
        WHEN 1 THEN sent
        WHEN 2 THEN max(fetched_from, sent)
        WHEN 3 THEN fetched_to
        WHEN 4 THEN started
        WHEN 5 THEN stopped
        ELSE done
      END AS stop_ns
    FROM span
    JOIN (SELECT column1 AS part FROM (VALUES (1), (2), (3), (4), (5), (6)))
    WHERE part NOT IN (2, 3) OR fetched_to > fetched_from
  )
SELECT
  phase.run,
  row_number() OVER (PARTITION BY phase.run ORDER BY position, part) AS step,
  key.text AS key,
  phase.phase,
  phase.worker,
  (stop_ns - start_ns) / 1e9 AS seconds,
  round((stop_ns - start_ns) * 1.0
    / nullif(sum(stop_ns - start_ns) OVER (PARTITION BY phase.run), 0), 4) AS share,
  start_ns,
  stop_ns,
  phase.seq,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  CASE WHEN phase.worker IS NOT NULL THEN coalesce((SELECT life FROM worker_life
      WHERE worker_life.run = phase.run AND worker_life.worker = phase.worker
        AND first_seq <= phase.seq
      ORDER BY first_seq DESC LIMIT 1), 1) END AS life
FROM phase JOIN key ON key.id = phase.key
WHERE stop_ns > start_ns OR phase = 'compute'
ORDER BY phase.run, position, part;

-- By how many seconds each worker's clock was behind the scheduler's, from its event `source_seq` on
-- (the first holds for all before), give or take `uncertainty`. A worker without a row was not
-- measured, and its times are what its own clock said.
CREATE VIEW clock_offsets AS
SELECT
  source.run,
  source.address AS worker,
  coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address AND worker_life.server_id = source.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address LIMIT 1), 1) AS life,
  source.server_id,
  clock_offset.source_seq,
  clock_offset.offset / 1e9 AS offset,
  clock_offset.uncertainty / 1e9 AS uncertainty
FROM clock_offset
JOIN source ON source.id = clock_offset.source
ORDER BY source.run, source.id, clock_offset.source_seq;

-- Between which seconds the offset of each worker's clock must lie, because a task cannot begin
-- before it was sent, nor be known as done before it was: as far as the clock stood still.
CREATE VIEW clock_bounds AS
SELECT
  run, worker, life, server_id, max(lower) / 1e9 AS lower, min(upper) / 1e9 AS upper,
  count(lower) + count(upper) AS events
FROM (
  SELECT
    source.run, source.address AS worker, source.server_id,
    coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address AND worker_life.server_id = source.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address LIMIT 1), 1) AS life,
    CASE WHEN cause.finish = (SELECT id FROM text WHERE text = 'processing')
      AND cause.task_run = event.task_run THEN cause.time - event.time END AS lower,
    CASE WHEN cause.start = (SELECT id FROM text WHERE text = 'processing')
      AND cause.finish IN (SELECT id FROM text WHERE text IN ('memory', 'erred'))
      AND cause.stimulus = event.stimulus
      AND event.start IN (SELECT id FROM text WHERE text IN ('executing', 'long-running'))
      THEN cause.time - event.time END AS upper
  FROM event
  JOIN source ON source.id = event.source AND source.kind = 'worker'
  JOIN event AS cause ON cause.key = event.key AND cause.hook = event.hook
  JOIN source AS scheduler ON scheduler.id = cause.source AND scheduler.run = source.run
    AND scheduler.kind = 'scheduler'
  WHERE event.hook = (SELECT id FROM text WHERE text = 'transition') AND event.key IS NOT NULL
)
GROUP BY run, server_id
ORDER BY run, worker, life;

-- Each outside event that set transitions off.
CREATE VIEW stimuli AS
SELECT
  source.run,
  text.text AS stimulus,
  min(event.at) AS first_seen,
  max(event.at) AS last_seen,
  count(*) AS events,
  count(DISTINCT event.key) AS keys
FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
JOIN source ON source.id = event.source
JOIN text ON text.id = event.stimulus
GROUP BY source.run, event.stimulus;

-- All events about each key in the order of arrival, with the seconds since the one before.
-- `tasklog story` puts them into causal order.
CREATE VIEW stories AS
SELECT
  source.run,
  key.text AS key,
  event.seq,
  event.at AS time_ns,
  (event.at - lag(event.at) OVER task) / 1e9 AS elapsed,
  source.kind AS source,
  CASE source.kind WHEN 'worker' THEN source.address
    ELSE (SELECT text FROM text WHERE id = event.worker) END AS worker,
  (SELECT text FROM text WHERE id = event.hook) AS hook,
  (SELECT text FROM text WHERE id = event.start) AS start,
  (SELECT text FROM text WHERE id = event.finish) AS finish,
  (SELECT text FROM text WHERE id = event.stimulus) AS stimulus,
  event.args,
  event.time AS raw_time_ns,
  CASE
    WHEN source.kind = 'worker' THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address AND worker_life.server_id = source.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address LIMIT 1), 1)
    WHEN event.worker IS NOT NULL THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = (SELECT text FROM text WHERE id = event.worker) AND first_seq <= event.seq
      ORDER BY first_seq DESC LIMIT 1), 1)
  END AS life
FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
JOIN source ON source.id = event.source
JOIN key ON key.id = event.key
WINDOW task AS (PARTITION BY source.run, key.id, key.text ORDER BY event.seq);

-- Each known hole in the log.
CREATE VIEW gaps AS
SELECT
  source.run,
  source.kind AS source,
  CASE source.kind WHEN 'worker' THEN source.address END AS worker,
  gap.source_seq,
  gap.count,
  gap.reason,
  gap.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = gap.source AND clock_offset.source_seq <= gap.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS time_ns,
  CASE source.kind WHEN 'worker' THEN coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address AND worker_life.server_id = source.server_id),
      (SELECT 0 FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = source.address LIMIT 1), 1) END AS life
FROM gap
JOIN source ON source.id = gap.source;

-- What each task that became erred says of itself: the text that came with its failure or that the
-- recorder made of an exception without one; of an older log what the log knows, as a pickle is not
-- opened.
CREATE VIEW failure_texts AS
SELECT
  event.seq,
  coalesce(
    event.args ->> '$.exception_text',
    event.snapshot ->> '$.task.exceptionText',
    event.args ->> '$.exception.description',
    CASE
      WHEN event.start = (SELECT id FROM text WHERE text = 'memory')
        THEN 'the worker that held this actor was lost'
      WHEN event.args ->> '$.exception' IS NULL THEN NULL
      WHEN event.start = (SELECT id FROM text WHERE text = 'processing')
        THEN 'KilledWorker: the workers that ran it died'
          || coalesce('; the last of them was ' || (event.args ->> '$.worker'), '')
      WHEN event.args ->> '$.worker' IS NULL
        THEN 'NoWorkerError: no worker that may run it was there in time'
      ELSE 'MemoryError: its inputs are larger than the memory of ' || (event.args ->> '$.worker')
    END) AS exception
FROM event
WHERE event.finish = (SELECT id FROM text WHERE text = 'erred');

-- Each task that became erred, and the task that it blames: itself when it has failed on its own.
-- Whom it blames is what the scheduler says (the argument `cause`, or `blame` in the snapshot). A log
-- that does not have it is asked for the dependency that erred last before it and has not come to
-- memory since, and for whom that one blames; where no graph tells, the one task that has failed on
-- its own of the same stimulus.
CREATE VIEW failures AS
WITH RECURSIVE
  failed AS MATERIALIZED (
    SELECT
      event.seq, source.run, event.source, event.key, event.stimulus, event.time,
      coalesce(
        nullif(event.args -> '$.cause', 'null'),
        nullif(event.snapshot -> '$.task.blame', 'null')) AS blame,
      -- What else tells that it has failed on its own: 2 for certain, 1 where no dependency did.
      CASE
        WHEN coalesce(
            event.args ->> '$.exception_text', event.snapshot ->> '$.task.exceptionText')
          IS NOT NULL THEN 2
        WHEN event.start = (SELECT id FROM text WHERE text = 'memory') THEN 2
        WHEN event.start = (SELECT id FROM text WHERE text = 'processing') THEN 1
        ELSE 0
      END AS looks
    FROM event
    JOIN source ON source.id = event.source AND source.kind = 'scheduler'
    WHERE event.finish = (SELECT id FROM text WHERE text = 'erred')
      AND event.start IS NOT event.finish
      AND event.hook = (SELECT id FROM text WHERE text = 'transition') AND event.key IS NOT NULL
  ),
  -- Keys that are blamed, by their JSON. What is redacted or cut off names none.
  blamed AS MATERIALIZED (
    SELECT name.blame, coalesce(plain.id, typed.id) AS id
    FROM (SELECT DISTINCT blame FROM failed WHERE blame IS NOT NULL) AS name
    LEFT JOIN key AS plain
      ON json_type(name.blame) = 'text' AND plain.text = name.blame ->> '$' AND plain.typed = ''
        -- Such a key has its JSON, and some SQLite cut its text.
        AND instr(replace(name.blame, '\\', ''), '\u0000') = 0
    LEFT JOIN key AS typed ON typed.typed = name.blame AND typed.typed != ''
    WHERE json_type(name.blame, '$."$opaque"') IS NULL
      AND json_type(name.blame, '$."$capped"') IS NULL
  ),
  judged AS MATERIALIZED (
    SELECT failed.*, blamed.blame AS name, blamed.id AS blamed,
      CASE WHEN blamed.blame IS NULL THEN looks = 2 ELSE blamed.id IS failed.key END AS is_own
    FROM failed LEFT JOIN blamed ON blamed.blame = failed.blame
  ),
  needs AS MATERIALIZED (SELECT run, key_id, dependency_id FROM dependencies),
  -- How each is judged. Those that do not say whom they blame have the dependency that failed last
  -- before.
  judgement AS MATERIALIZED (
    SELECT *,
      CASE
        WHEN is_own THEN 'own'
        WHEN name IS NOT NULL THEN 'named'
        WHEN before_seq IS NOT NULL THEN 'before'
        WHEN looks = 1 THEN 'own'
        ELSE 'stimulus'
      END AS role
    FROM (
      SELECT judged.*, CAST(CASE WHEN name IS NULL AND NOT is_own THEN (
        SELECT max(before.seq)
        FROM needs
        JOIN judged AS before ON before.run = needs.run AND before.key = needs.dependency_id
        WHERE needs.run = judged.run AND needs.key_id = judged.key AND before.seq < judged.seq
          AND NOT EXISTS (
            SELECT 1 FROM event AS since
            WHERE since.key = before.key AND since.source = before.source
              AND since.seq BETWEEN before.seq AND judged.seq
              AND +since.hook = (SELECT id FROM text WHERE text = 'transition')
              AND +since.finish IN (
                SELECT id FROM text WHERE text IN ('memory', 'forgotten')))
        -- An affinity lets SQLite make an index: https://sqlite.org/datatype3.html#column_affinity
        ) END AS INTEGER) AS before_seq
      FROM judged)
  ),
  chain (seq, cause_seq) AS (
    SELECT seq, CASE role
      WHEN 'own' THEN seq
      WHEN 'named' THEN (
        SELECT max(own.seq) FROM judgement AS own
        WHERE own.role = 'own' AND own.run = judgement.run AND own.key = judgement.blamed
          AND own.seq < judgement.seq)
      ELSE (
        SELECT CASE WHEN min(own.key) = max(own.key) THEN max(own.seq) END FROM judgement AS own
        WHERE own.role = 'own' AND own.run = judgement.run AND own.stimulus = judgement.stimulus
          AND own.seq < judgement.seq)
      END
    FROM judgement WHERE role != 'before'
    UNION ALL
    SELECT judgement.seq, chain.cause_seq FROM chain JOIN judgement ON judgement.before_seq = chain.seq
  )
SELECT
  judged.seq,
  judged.run,
  key.text AS key,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  CASE
    WHEN chain.cause_seq = judged.seq THEN key.text
    WHEN judged.name IS NOT NULL
      THEN coalesce(
        (SELECT text FROM key WHERE id = judged.blamed),
        CASE WHEN instr(judged.name, '\u0000') = 0 THEN CAST(judged.name ->> '$' AS TEXT) END,
        judged.name)
    ELSE (SELECT key.text FROM event JOIN key ON key.id = event.key WHERE seq = chain.cause_seq)
  END AS cause_key,
  chain.cause_seq,
  judged.time AS time_ns
FROM judged
JOIN chain ON chain.seq = judged.seq
JOIN key ON key.id = judged.key
ORDER BY judged.seq;

-- Each task that failed on its own: on which worker, how often it had been tried again before, and
-- how many tasks failed with it.
CREATE VIEW errors AS
WITH
  failed AS MATERIALIZED (
    SELECT seq, cause_seq, count(*) OVER (PARTITION BY cause_seq) - 1 AS dependents FROM failures
  )
SELECT
  event.seq,
  source.run,
  key.text AS key,
  event.args ->> '$.worker' AS worker,
  (SELECT exception FROM failure_texts WHERE failure_texts.seq = event.seq) AS exception,
  event.args ->> '$.traceback_text' AS traceback,
  event.time AS time_ns,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT max(0, count(*) - 1) FROM event AS sent
    WHERE sent.key = event.key AND sent.source = event.source AND sent.seq < event.seq
      AND sent.start IS NOT sent.finish
      AND sent.finish = (SELECT id FROM text WHERE text = 'processing')) AS retries,
  failed.dependents
FROM failed
JOIN event ON event.seq = failed.seq
JOIN source ON source.id = event.source
JOIN key ON key.id = event.key
WHERE failed.cause_seq = failed.seq
ORDER BY event.seq;

-- The failures of each run by what went wrong; the first of each has its traceback in `errors`.
CREATE VIEW error_causes AS
SELECT
  run, exception, count(*) AS tasks, sum(dependents) AS dependents,
  count(DISTINCT worker) AS workers, min(seq) AS first_seq, key AS first_key,
  traceback AS first_traceback
FROM errors
GROUP BY run, exception
ORDER BY run, tasks DESC, first_seq;

-- Each failure that only a worker had: the scheduler has made no transition of that task because of
-- it. Such as data that a worker has fetched and cannot unpickle, or what came too late.
CREATE VIEW worker_errors AS
SELECT
  event.seq,
  source.run,
  key.text AS key,
  source.address AS worker,
  (SELECT text FROM text WHERE id = event.start) AS start,
  event.snapshot ->> '$.task.exceptionText' AS exception,
  event.snapshot ->> '$.task.tracebackText' AS traceback,
  event.at AS time_ns,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  event.time AS raw_time_ns
FROM (SELECT *, event.time + coalesce((SELECT offset FROM clock_offset
    WHERE clock_offset.source = event.source AND clock_offset.source_seq <= event.source_seq
    ORDER BY clock_offset.source_seq DESC LIMIT 1), 0) AS at FROM event) AS event
JOIN source ON source.id = event.source AND source.kind = 'worker'
JOIN key ON key.id = event.key
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
  AND event.finish = (SELECT id FROM text WHERE text = 'error')
  AND event.start IS NOT event.finish
  -- A worker that calls its plugins with another state than the task has come to, tells which.
  AND coalesce(event.snapshot ->> '$.task.state', 'error') = 'error'
  AND NOT EXISTS (
    SELECT 1 FROM event AS measured
    JOIN source AS scheduler ON scheduler.id = measured.source AND scheduler.kind = 'scheduler'
    WHERE measured.key = event.key AND +measured.stimulus = event.stimulus AND +measured.hook = event.hook
      AND scheduler.run = source.run);

-- The labels of each run as they are now: those given at its start, and the events that have changed
-- them, of which `seq` is the last; a label whose value is NULL was removed.
CREATE VIEW labels AS
SELECT run, name, value, seq FROM (
  SELECT *, row_number() OVER (PARTITION BY run, name ORDER BY seq DESC) AS rank
  FROM (
    SELECT run.id AS run, label.key AS name, label.value, 0 AS seq
    FROM run JOIN json_each(run.metadata, '$.labels') AS label
    UNION ALL
    SELECT source.run, event.args ->> '$.name', event.args ->> '$.value', event.seq
    FROM hook_event
    JOIN event ON event.seq = hook_event.seq
    JOIN source ON source.id = event.source
    WHERE hook_event.hook = (SELECT id FROM text WHERE text = 'label')
      AND event.args ->> '$.name' IS NOT NULL))
WHERE rank = 1 AND value IS NOT NULL
ORDER BY run, name;

-- Each run. `end` is NULL for a run that still goes on or that died without anyone noticing: `tasklog
-- runs` distinguishes these. `tasks` are different keys, `failed` those that ever became erred.
-- `host`, `user`, `git_revision` and `command_line` are those of the process that requested the
-- recording, else of the recorder's own.
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
  run.metadata,
  CASE WHEN run_total.run IS NOT NULL THEN run_total.tasks ELSE (
    SELECT count(DISTINCT event.key) FROM source CROSS JOIN event ON event.source = source.id
    WHERE source.run = run.id) END AS tasks,
  CASE WHEN run_total.run IS NOT NULL THEN run_total.failed ELSE (
    SELECT count(DISTINCT event.key) FROM source CROSS JOIN event ON event.source = source.id
    WHERE source.run = run.id AND source.kind = 'scheduler'
      AND event.hook = (SELECT id FROM text WHERE text = 'transition')
      AND event.finish = (SELECT id FROM text WHERE text = 'erred')
      AND event.start IS NOT event.finish) END AS failed,
  (SELECT json_group_object(name, value) FROM labels WHERE labels.run = run.id) AS labels,
  coalesce(run.metadata ->> '$.caller.host', run.metadata ->> '$.host') AS host,
  coalesce(run.metadata ->> '$.caller.user', run.metadata ->> '$.user') AS user,
  run.metadata ->> '$.caller.git_revision' AS git_revision,
  run.metadata ->> '$.caller.command_line' AS command_line
FROM run
LEFT JOIN run_total ON run_total.run = run.id;

-- What is recorded of each run: calls of each hook by each kind of source, and their bytes of args
-- and snapshots.
CREATE VIEW event_kinds AS
SELECT run, source, hook, events, args_bytes, snapshot_bytes
FROM (
  SELECT
    event_total.run, source_kind AS source,
    (SELECT text FROM text WHERE id = event_total.hook) AS hook, events, args_bytes, snapshot_bytes
  FROM event_total
  WHERE EXISTS (SELECT 1 FROM run_total WHERE run_total.run = event_total.run) AND events > 0
  UNION ALL
  -- Runs without totals.
  SELECT
    source.run, source.kind,
    (SELECT text FROM text WHERE id = event.hook),
    count(*),
    coalesce(sum(length(CAST(event.args AS BLOB))), 0),
    coalesce(sum(length(CAST(event.snapshot AS BLOB))), 0)
  FROM source CROSS JOIN event ON event.source = source.id
  WHERE NOT EXISTS (SELECT 1 FROM run_total WHERE run_total.run = source.run)
  GROUP BY source.run, source.kind, event.hook)
ORDER BY run, source, events DESC, hook;

-- Two runs side by side, by prefix. Give both: WHERE run1 = 1 AND run2 = 2.
CREATE VIEW run_differences AS
SELECT
  a.id AS run1, b.id AS run2, each.prefix,
  coalesce(one.tasks, 0) AS tasks1, coalesce(two.tasks, 0) AS tasks2,
  coalesce(one.done, 0) AS done1, coalesce(two.done, 0) AS done2,
  coalesce(one.failed, 0) AS failed1, coalesce(two.failed, 0) AS failed2,
  coalesce(one.retried, 0) AS retried1, coalesce(two.retried, 0) AS retried2,
  coalesce(one.nbytes, 0) AS nbytes1, coalesce(two.nbytes, 0) AS nbytes2,
  coalesce(one.compute, 0.0) AS compute1, coalesce(two.compute, 0.0) AS compute2
FROM run AS a
JOIN run AS b ON b.id != a.id
JOIN (SELECT DISTINCT run, prefix FROM prefixes) AS each ON each.run IN (a.id, b.id)
LEFT JOIN prefixes AS one ON one.run = a.id AND one.prefix IS each.prefix
LEFT JOIN prefixes AS two ON two.run = b.id AND two.prefix IS each.prefix
GROUP BY a.id, b.id, each.prefix
ORDER BY a.id, b.id, each.prefix;
