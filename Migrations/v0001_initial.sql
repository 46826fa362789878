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

-- Names of tasks: the text that people see, typed JSON where the key is not just that text, and
-- Dask's two ways to bundle keys.
CREATE TABLE key (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  typed TEXT NOT NULL DEFAULT '',
  prefix INTEGER,                          -- text
  key_group INTEGER,                       -- text
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
-- Views: documented and stable. `tasklog query --schema` shows each with an example.
--
-- Columns that end in `_ns` are nanoseconds since 1970 UTC, `time` is the same as text; durations
-- are seconds.

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
  key.typed AS key_typed,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT text FROM text WHERE id = key.key_group) AS key_group
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
  event.time AS time_ns,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix
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
  outcome.args ->> '$.exception_text' AS exception,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT text FROM text WHERE id = key.key_group) AS key_group,
  task.sent,
  task.done,
  task.failures
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
        AND event.start IS NOT event.finish) AS sent,
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
  event.seq,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix
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

-- Each span of work, the longest first.
CREATE VIEW slowest AS
SELECT run, key, prefix, worker, action, round(duration, 6) AS seconds, start, stop, seq
FROM task_durations
ORDER BY duration DESC, seq, start;

-- Each stay of a task in a state, at the scheduler or at one worker: from the event that brought it
-- there to the next one, which is NULL for a stay that had no end. What was where at a moment are
-- the stays with seq <= moment AND coalesce(next_seq > moment, 1).
CREATE VIEW stays AS
SELECT
  source.run,
  source.kind AS source,
  CASE source.kind WHEN 'worker' THEN source.address
    ELSE (SELECT text FROM text WHERE id = event.worker) END AS worker,
  key.text AS key,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT text FROM text WHERE id = event.finish) AS state,
  event.seq,
  lead(event.seq) OVER task AS next_seq,
  event.time AS start_ns,
  lead(event.time) OVER task AS stop_ns,
  (lead(event.time) OVER task - event.time) / 1e9 AS seconds
FROM event
JOIN source ON source.id = event.source
JOIN key ON key.id = event.key
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
  AND event.finish IS NOT NULL AND event.start IS NOT event.finish
WINDOW task AS (PARTITION BY source.id, key.id, key.text ORDER BY event.source_seq);

-- What was unfinished at the end of the log, at the scheduler and at the workers.
CREATE VIEW open_tasks AS
SELECT
  run, source, worker, key, prefix, state, seq, start_ns,
  ((SELECT max(last.time) FROM source AS seen JOIN event AS last ON last.seq = (
      SELECT seq FROM event WHERE event.source = seen.id ORDER BY source_seq DESC LIMIT 1)
    WHERE seen.run = stays.run) - start_ns) / 1e9 AS seconds
FROM stays
WHERE next_seq IS NULL
  AND state NOT IN ('memory', 'erred', 'error', 'released', 'forgotten');

-- Each prefix of each run: how many tasks, and how many of them came to memory, ever failed, or were
-- given to a worker more than once; the bytes of their last results, the seconds computed.
CREATE VIEW prefixes AS
SELECT
  task.run,
  task.prefix,
  count(*) AS tasks,
  sum(task.done > 0) AS done,
  sum(task.failures > 0) AS failed,
  sum(task.sent > 1) AS retried,
  coalesce(sum(task.nbytes), 0) AS nbytes,
  round(coalesce(spans.seconds, 0.0), 6) AS compute
FROM tasks AS task
LEFT JOIN (
  SELECT run, prefix, sum(duration) AS seconds FROM task_durations
  WHERE action = 'compute' GROUP BY run, prefix
) AS spans ON spans.run = task.run AND spans.prefix IS task.prefix
GROUP BY task.run, task.prefix
ORDER BY task.run, task.prefix;

-- How long the tasks of each prefix were in each state: only stays that have ended. Percentiles are
-- nearest ranks: times that were really taken.
CREATE VIEW prefix_states AS
SELECT
  run, prefix, source, state, count(*) AS count, sum(nanoseconds) / 1e9 AS seconds,
  max(nanoseconds) FILTER (WHERE place = (count * 50 + 99) / 100) / 1e9 AS p50,
  max(nanoseconds) FILTER (WHERE place = (count * 95 + 99) / 100) / 1e9 AS p95,
  max(nanoseconds) / 1e9 AS max
FROM (
  SELECT run, prefix, source, state, stop_ns - start_ns AS nanoseconds,
    row_number() OVER (
      PARTITION BY run, prefix, source, state ORDER BY stop_ns - start_ns) AS place,
    count(*) OVER (PARTITION BY run, prefix, source, state) AS count
  FROM stays
  WHERE next_seq IS NOT NULL AND state != 'forgotten'
)
GROUP BY run, prefix, source, state
ORDER BY run, prefix, source, state;

-- Each task that became erred, and the task that it blames: itself when it has failed on its own,
-- else the one that failed last before it of the same stimulus.
CREATE VIEW failures AS
SELECT
  failed.seq,
  failed.run,
  key.text AS key,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  CASE
    WHEN failed.is_cause THEN key.text
    WHEN failed.cause IS NOT NULL THEN coalesce(
      (SELECT text FROM key WHERE typed = failed.cause AND typed != ''), failed.cause_text)
    ELSE (SELECT key.text FROM event JOIN key ON key.id = event.key WHERE seq = failed.cause_seq)
  END AS blamed,
  CASE WHEN failed.is_cause THEN failed.seq ELSE failed.cause_seq END AS cause_seq,
  failed.time AS time_ns
FROM (
  SELECT *, max(CASE WHEN is_cause AND (stimulus IS NOT NULL) THEN seq END) OVER (
      PARTITION BY run, stimulus ORDER BY seq ROWS UNBOUNDED PRECEDING) AS cause_seq
  FROM (
    SELECT event.seq, source.run, event.key, event.stimulus, event.time,
      event.args -> '$.cause' AS cause, event.args ->> '$.cause' AS cause_text,
      event.start = (SELECT id FROM text WHERE text = 'processing')
        OR event.args ->> '$.exception_text' IS NOT NULL AS is_cause
    FROM event
    JOIN source ON source.id = event.source AND source.kind = 'scheduler'
    WHERE event.finish = (SELECT id FROM text WHERE text = 'erred')
      AND event.start IS NOT event.finish
      AND event.hook = (SELECT id FROM text WHERE text = 'transition') AND event.key IS NOT NULL
  )
) AS failed
JOIN key ON key.id = failed.key;

-- Each task that failed on its own: on which worker, how often it had been tried again before, and
-- how many tasks failed with it.
CREATE VIEW errors AS
SELECT
  event.seq,
  source.run,
  key.text AS key,
  event.args ->> '$.worker' AS worker,
  event.args ->> '$.exception_text' AS exception,
  event.args ->> '$.traceback_text' AS traceback,
  event.time AS time_ns,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix,
  (SELECT max(0, count(*) - 1) FROM event AS sent
    WHERE sent.key = event.key AND sent.source = event.source AND sent.seq < event.seq
      AND sent.start IS NOT sent.finish
      AND sent.finish = (SELECT id FROM text WHERE text = 'processing')) AS retries,
  (SELECT count(*) FROM failures
    WHERE failures.run = source.run AND failures.cause_seq = event.seq
      AND failures.seq != event.seq) AS dependents
FROM event
JOIN source ON source.id = event.source AND source.kind = 'scheduler'
JOIN key ON key.id = event.key
WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
  AND event.finish = (SELECT id FROM text WHERE text = 'erred')
  AND (event.start = (SELECT id FROM text WHERE text = 'processing')
    OR event.args ->> '$.exception_text' IS NOT NULL);

-- The failures of each run by what went wrong; the first of each has its traceback in `errors`.
CREATE VIEW error_causes AS
SELECT
  run, exception, count(*) AS tasks, sum(dependents) AS dependents,
  count(DISTINCT worker) AS workers, min(seq) AS first_seq, key AS first_key,
  traceback AS first_traceback
FROM errors
GROUP BY run, exception
ORDER BY run, tasks DESC, first_seq;

-- Each worker of each run: when it joined and left, what it did. `busy` are the seconds that its
-- threads computed, `share` is that of what they could have; `occupancy` is how many tasks it had
-- been given at a time, on average.
CREATE VIEW workers AS
WITH
  facts AS MATERIALIZED (
    SELECT
      run, worker,
      min(time_ns) FILTER (WHERE hook = 'addWorker') AS joined_ns,
      max(time_ns) FILTER (WHERE hook = 'removeWorker') AS left_ns,
      max(snapshot -> '$.worker.name') AS name,
      max(snapshot ->> '$.worker.serverID') AS server_id,
      max(snapshot ->> '$.worker.nthreads') AS nthreads
    FROM events
    WHERE hook IN ('addWorker', 'removeWorker', 'setup') AND worker IS NOT NULL
    GROUP BY run, worker
  ),
  life AS MATERIALIZED (
    SELECT
      source.run, source.address AS worker, source.name, source.server_id,
      min(event.time) AS first_seen, max(event.time) AS last_seen, count(event.seq) AS events
    FROM source
    LEFT JOIN event ON event.source = source.id
    WHERE source.kind = 'worker'
    GROUP BY source.id
    UNION ALL
    -- Workers that were not recorded themselves.
    SELECT run, worker, coalesce(name, 'null'), server_id, NULL, NULL, 0
    FROM facts
    WHERE NOT EXISTS (
      SELECT 1 FROM source
      WHERE source.run = facts.run AND source.address = facts.worker AND kind = 'worker')
  ),
  ends AS MATERIALIZED (
    SELECT source.run, max(event.time) AS time
    FROM source JOIN event ON event.seq = (
      SELECT seq FROM event WHERE event.source = source.id ORDER BY source_seq DESC LIMIT 1)
    GROUP BY source.run
  ),
  outcomes AS MATERIALIZED (
    SELECT
      source.run, event.args ->> '$.worker' AS worker,
      sum(event.finish = (SELECT id FROM text WHERE text = 'memory')) AS tasks,
      sum(event.finish = (SELECT id FROM text WHERE text = 'erred')) AS failed,
      sum(CASE WHEN event.finish = (SELECT id FROM text WHERE text = 'memory')
        THEN event.args ->> '$.nbytes' END) AS nbytes
    FROM event
    JOIN source ON source.id = event.source AND source.kind = 'scheduler'
    WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
      AND event.start = (SELECT id FROM text WHERE text = 'processing')
      AND event.finish IN (SELECT id FROM text WHERE text IN ('memory', 'erred'))
    GROUP BY 1, 2
  ),
  spans AS MATERIALIZED (
    SELECT run, worker, sum(duration) AS seconds FROM task_durations
    WHERE action = 'compute' GROUP BY run, worker
  ),
  given AS MATERIALIZED (
    SELECT run, worker, sum(stop_ns - start_ns) AS nanoseconds FROM stays
    WHERE source = 'scheduler' AND state = 'processing' AND next_seq IS NOT NULL
    GROUP BY run, worker
  )
SELECT
  life.run,
  life.worker,
  life.name,
  life.server_id,
  life.first_seen,
  life.last_seen,
  life.events,
  facts.joined_ns,
  facts.left_ns,
  facts.nthreads,
  coalesce(outcomes.tasks, 0) AS tasks,
  coalesce(outcomes.failed, 0) AS failed,
  coalesce(outcomes.nbytes, 0) AS nbytes,
  round(coalesce(spans.seconds, 0.0), 6) AS busy,
  round(coalesce(spans.seconds, 0.0) * 1e9 / max(coalesce(facts.nthreads, 1), 1)
    / (coalesce(facts.left_ns, ends.time) - coalesce(facts.joined_ns, life.first_seen)), 4)
    AS share,
  round(coalesce(given.nanoseconds, 0) * 1.0
    / (coalesce(facts.left_ns, ends.time) - coalesce(facts.joined_ns, life.first_seen)), 2)
    AS occupancy
FROM life
LEFT JOIN facts ON facts.run = life.run AND facts.worker = life.worker
LEFT JOIN ends ON ends.run = life.run
LEFT JOIN outcomes ON outcomes.run = life.run AND outcomes.worker = life.worker
LEFT JOIN spans ON spans.run = life.run AND spans.worker = life.worker
LEFT JOIN given ON given.run = life.run AND given.worker = life.worker
ORDER BY life.run, coalesce(facts.joined_ns, life.first_seen, ends.time + 1), life.worker;

-- Each task with what it needs, as graphs were submitted.
CREATE VIEW dependencies AS
WITH
  submitted AS MATERIALIZED (
    SELECT event.seq, source.run, event.args, event.snapshot
    FROM event
    JOIN source ON source.id = event.source
    WHERE event.hook = (SELECT id FROM text WHERE text = 'updateGraph')
  ),
  graph AS MATERIALIZED (
    SELECT submitted.seq, submitted.run, task.key AS place, task.value -> '$.key' AS task,
      task.value -> '$.dependencies' AS dependencies
    FROM submitted JOIN json_each(submitted.snapshot, '$.graph') AS task
    WHERE task.type = 'object'
  ),
  -- Dask's graphs have the keys of their tasks in the args only.
  elsewhere AS MATERIALIZED (
    SELECT submitted.seq, task.key AS place,
      CASE WHEN task.type IN ('object', 'array') THEN task.value ELSE json_quote(task.value) END
        AS task
    FROM submitted
    JOIN json_each(CASE
      WHEN json_type(submitted.args, '$.tasks') = 'array' THEN submitted.args -> '$.tasks'
      WHEN json_type(submitted.args, '$.tasks."$tuple"') = 'array'
        THEN submitted.args -> '$.tasks."$tuple"'
      END) AS task
    WHERE EXISTS (SELECT 1 FROM graph WHERE graph.seq = submitted.seq AND graph.task IS NULL)
  ),
  edge AS MATERIALIZED (
    SELECT graph.run, coalesce(graph.task, elsewhere.task) AS task, dependency.value AS text,
      CASE WHEN dependency.type IN ('object', 'array') THEN dependency.value
        ELSE json_quote(dependency.value) END AS dependency
    FROM graph
    LEFT JOIN elsewhere ON elsewhere.seq = graph.seq AND elsewhere.place = graph.place
    JOIN json_each(graph.dependencies) AS dependency
  ),
  -- Every key that is in a graph, by its JSON.
  named AS MATERIALIZED (
    SELECT key.id, name.json FROM (
      SELECT task AS json FROM edge UNION SELECT dependency FROM edge) AS name
    JOIN key ON key.text = name.json ->> '$' AND key.typed = ''
    WHERE json_type(name.json) = 'text'
    UNION ALL
    SELECT key.id, name.json FROM (
      SELECT task AS json FROM edge UNION SELECT dependency FROM edge) AS name
    JOIN key ON key.typed = name.json
  )
SELECT DISTINCT
  edge.run, key.text AS key, dependency.text AS dependency,
  key.id AS key_number, dependency.id AS dependency_number
FROM edge
JOIN named AS task_name ON task_name.json = edge.task
JOIN named AS dependency_name ON dependency_name.json = edge.dependency
JOIN key ON key.id = task_name.id
JOIN key AS dependency ON dependency.id = dependency_name.id;

-- The chain of tasks and waits that set the length of each run, its end first found: the task that
-- ended last, the dependency that came last before it was given to a worker, and so on. Each task
-- is up to five pieces that follow on each other: `wait` at the scheduler, `queue` at the worker,
-- `transfer` of dependencies, `compute`, and `report` until the scheduler knew.
CREATE VIEW critical_path AS
WITH RECURSIVE
  needs AS MATERIALIZED (SELECT run, key_number, dependency_number FROM dependencies),
  outcome AS MATERIALIZED (
    SELECT source.run, event.seq, event.key, event.time, event.source, event.finish
    FROM event
    JOIN source ON source.id = event.source AND source.kind = 'scheduler'
    WHERE event.hook = (SELECT id FROM text WHERE text = 'transition')
      AND event.start = (SELECT id FROM text WHERE text = 'processing')
      AND event.finish IN (SELECT id FROM text WHERE text IN ('memory', 'erred'))
  ),
  -- From the last outcome back to the one that came last before this task was sent to a worker.
  path (run, place, seq) AS (
    SELECT run, 0, max(seq) FROM outcome GROUP BY run
    UNION ALL
    SELECT path.run, path.place - 1, (
      SELECT max(outcome.seq) FROM needs
      JOIN outcome ON outcome.run = needs.run AND outcome.key = needs.dependency_number
        AND outcome.finish = (SELECT id FROM text WHERE text = 'memory')
      WHERE needs.run = path.run
        AND needs.key_number = (SELECT key FROM event WHERE seq = path.seq)
        AND outcome.seq < (
          SELECT max(sent.seq) FROM event AS sent, event AS done
          WHERE done.seq = path.seq AND sent.key = done.key AND sent.source = done.source
            AND sent.seq < done.seq
            AND sent.finish = (SELECT id FROM text WHERE text = 'processing')))
    FROM path
    WHERE path.seq IS NOT NULL
  ),
  chain AS MATERIALIZED (
    SELECT run, place, seq, lag(seq) OVER (PARTITION BY run ORDER BY place) AS before_seq
    FROM path WHERE seq IS NOT NULL
  ),
  -- When each task of the chain could begin, was sent, computed and was known to be done.
  task AS MATERIALIZED (
    SELECT
      chain.run, chain.place, done.key, done.seq, done.args ->> '$.worker' AS worker,
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
    SELECT run, place, key, seq, worker, ready, sent, done,
      min(max(coalesce(started, sent), sent), done) AS started,
      min(max(coalesce(stopped, done), coalesce(started, sent), sent), done) AS stopped,
      min(max(coalesce(fetched_from, sent), sent), coalesce(started, done), done) AS fetched_from,
      min(max(coalesce(fetched_to, sent), sent), coalesce(started, done), done) AS fetched_to
    FROM (
      SELECT run, place, key, seq, worker, ready, max(sent, ready) AS sent, done, started, stopped,
        fetched_from, fetched_to
      FROM task)
  ),
  piece AS (
    SELECT run, place, 1 AS part, 'wait' AS piece, key, NULL AS worker, ready AS start_ns,
      sent AS stop_ns, seq FROM span
    UNION ALL
    SELECT run, place, 2, 'queue', key, worker, sent, max(fetched_from, sent), seq FROM span
    WHERE fetched_to > fetched_from
    UNION ALL
    SELECT run, place, 3, 'transfer', key, worker, fetched_from, fetched_to, seq FROM span
    WHERE fetched_to > fetched_from
    UNION ALL
    SELECT run, place, 4, 'queue', key, worker,
      CASE WHEN fetched_to > fetched_from THEN fetched_to ELSE sent END, started, seq FROM span
    UNION ALL
    SELECT run, place, 5, 'compute', key, worker, started, stopped, seq FROM span
    UNION ALL
    SELECT run, place, 6, 'report', key, worker, stopped, done, seq FROM span
  )
SELECT
  piece.run,
  row_number() OVER (PARTITION BY piece.run ORDER BY place, part) AS step,
  key.text AS key,
  piece.piece,
  piece.worker,
  (stop_ns - start_ns) / 1e9 AS seconds,
  round((stop_ns - start_ns) * 1.0
    / nullif(sum(stop_ns - start_ns) OVER (PARTITION BY piece.run), 0), 4) AS share,
  start_ns,
  stop_ns,
  piece.seq,
  (SELECT text FROM text WHERE id = key.prefix) AS prefix
FROM piece JOIN key ON key.id = piece.key
WHERE stop_ns > start_ns OR piece = 'compute'
ORDER BY piece.run, place, part;

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

-- All events about each key in the order of arrival, with the seconds since the one before.
-- `tasklog story` puts them into causal order.
CREATE VIEW stories AS
SELECT
  source.run,
  key.text AS key,
  event.seq,
  event.time AS time_ns,
  (event.time - lag(event.time) OVER task) / 1e9 AS after,
  source.kind AS source,
  CASE source.kind WHEN 'worker' THEN source.address
    ELSE (SELECT text FROM text WHERE id = event.worker) END AS worker,
  (SELECT text FROM text WHERE id = event.hook) AS hook,
  (SELECT text FROM text WHERE id = event.start) AS start,
  (SELECT text FROM text WHERE id = event.finish) AS finish,
  (SELECT text FROM text WHERE id = event.stimulus) AS stimulus,
  event.args
FROM event
JOIN source ON source.id = event.source
JOIN key ON key.id = event.key
WINDOW task AS (PARTITION BY source.run, key.id, key.text ORDER BY event.seq);

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

-- What is recorded of each run: calls of each hook by each kind of source, and their bytes of args
-- and snapshots.
CREATE VIEW event_kinds AS
SELECT
  source.run,
  source.kind AS source,
  (SELECT text FROM text WHERE id = event.hook) AS hook,
  count(*) AS events,
  coalesce(sum(length(CAST(event.args AS BLOB))), 0) AS args_bytes,
  coalesce(sum(length(CAST(event.snapshot AS BLOB))), 0) AS snapshot_bytes
FROM event
JOIN source ON source.id = event.source
GROUP BY source.run, source.kind, event.hook
ORDER BY source.run, source.kind, events DESC, hook;

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
