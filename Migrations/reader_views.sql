-- Views that a reader creates as TEMP views: no file has them. Those of heartbeats need functions of
-- `tasklog`, which another SQLite does not have: what a heartbeat says is packed (`PackedHeartbeat`).

-- Each number that a worker measured, at each of its heartbeats. `name` is the path of the number in
-- the metrics, its parts joined by dots. `time` is when the scheduler received the heartbeat.
CREATE VIEW worker_metrics AS
SELECT
  beat.run, beat.worker, beat.time, metric.key AS name, metric.atom AS value,
  tasklog_metric_unit(metric.key) AS unit,
  beat.time_ns, beat.seq, beat.life
FROM (
  SELECT
    source.run,
    (SELECT text FROM text WHERE id = event.worker) AS worker,
    strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000000, 'unixepoch')
      || printf('.%06dZ', event.time / 1000 % 1000000) AS time,
    event.time AS time_ns,
    event.seq,
    event.args,
    coalesce((SELECT life FROM worker_life WHERE worker_life.run = source.run
      AND worker_life.worker = (SELECT text FROM text WHERE id = event.worker)
      AND first_seq <= event.seq ORDER BY first_seq DESC LIMIT 1), 1) AS life
  FROM event
  JOIN source ON source.id = event.source AND source.kind = 'scheduler'
  WHERE event.hook = (SELECT id FROM text WHERE text = 'heartbeat')
) AS beat
JOIN json_each(tasklog_metrics(beat.args, beat.time_ns)) AS metric;

-- The seconds, bytes and counts that workers measured of each activity, in the contexts `execute`,
-- `gather-dep`, `get-data`, `memory-monitor` and others of Dask. `prefix` is that of the tasks of
-- `execute`.
CREATE VIEW activity AS
SELECT
  run, context, prefix, activity,
  coalesce(sum(value) FILTER (WHERE unit = 'seconds'), 0.0) AS seconds,
  coalesce(sum(value) FILTER (WHERE unit = 'bytes'), 0) AS bytes,
  coalesce(sum(value) FILTER (WHERE unit = 'count'), 0) AS count
FROM (
  SELECT
    source.run,
    measured.value ->> '$[0]' AS context, measured.value ->> '$[1]' AS prefix,
    measured.value ->> '$[2]' AS activity, measured.value ->> '$[3]' AS unit,
    measured.value ->> '$[4]' AS value
  FROM event
  JOIN source ON source.id = event.source AND source.kind = 'scheduler'
  JOIN json_each(tasklog_activity(event.args, event.time)) AS measured
  WHERE event.hook = (SELECT id FROM text WHERE text = 'heartbeat')
)
GROUP BY run, context, prefix, activity
ORDER BY run, context, prefix, activity;

-- Each message that a logger of Dask wrote. `dropped` is the number of messages of that process that
-- were not recorded since the one before; `worker` is the one that wrote it, or whose nanny did.
CREATE VIEW messages AS
SELECT
  event.seq, event.time, event.run, event.source, event.worker,
  event.args ->> '$.level' AS level,
  event.args ->> '$.logger' AS logger,
  event.args ->> '$.text' AS text,
  event.args ->> '$.traceback' AS traceback,
  event.args ->> '$.nanny' AS nanny,
  event.args ->> '$.thread' AS thread,
  coalesce(event.args ->> '$.dropped', 0) AS dropped,
  event.time_ns,
  event.life
FROM hook_event
JOIN events AS event ON event.seq = hook_event.seq
WHERE hook_event.hook = (SELECT id FROM text WHERE text = 'message')
ORDER BY event.seq;

-- The end of each worker that left, with what the scheduler, the worker and its nanny said of it.
-- `seq` is the event by which it left, `exit_seq` that of its nanny about the process, whose exit code
-- is negative for a signal. `manager_reasons` is what Kubernetes or SLURM said of it, in the order of
-- arrival, if that was imported (`tasklog import --deaths`). `tasklog workers --deaths` concludes the
-- cause from this.
CREATE VIEW worker_ends AS
WITH
  known AS MATERIALIZED (
    SELECT *, lead(first_seq, 1, 9223372036854775807)
      OVER (PARTITION BY run, worker ORDER BY first_seq) AS next_seq
    FROM worker_life
  ),
  fact AS MATERIALIZED (
    SELECT source.run, event.seq, hook.text AS hook, event.args,
      CASE
        WHEN hook.text != 'logEvent' THEN (SELECT text FROM text WHERE id = event.worker)
        WHEN event.args ->> '$.topic' = 'worker-restart-memory'
          THEN event.args ->> '$.message.worker'
        ELSE event.args ->> '$.topic'
      END AS worker,
      CASE hook.text WHEN 'nanny' THEN event.args ->> '$.op' ELSE
        coalesce(event.args ->> '$.message.action', event.args ->> '$.topic', hook.text) END AS kind,
      (SELECT text FROM text WHERE id = event.stimulus) AS stimulus
    FROM hook_event
    JOIN text AS hook ON hook.id = hook_event.hook
    JOIN event ON event.seq = hook_event.seq
    JOIN source ON source.id = event.source AND source.kind IN ('scheduler', 'command')
    WHERE hook.text IN ('nanny', 'removeWorker', 'manager') OR hook.text = 'logEvent' AND (
      event.args ->> '$.message.action' IN ('closing-worker', 'remove-worker')
      OR event.args ->> '$.topic' = 'worker-restart-memory')
  ),
  told AS MATERIALIZED (
    SELECT known.run, known.worker, known.life, fact.kind, fact.seq, fact.args, fact.stimulus,
      row_number() OVER (PARTITION BY known.run, known.worker, known.life, fact.kind
        ORDER BY fact.seq) AS rank
    FROM known
    JOIN fact ON fact.run = known.run AND fact.worker = known.worker
      AND CASE fact.hook WHEN 'manager' THEN fact.args ->> '$.life' = known.life
        ELSE fact.seq >= known.first_seq AND fact.seq < known.next_seq END
  )
SELECT
  known.run, known.worker, known.life, known.name, known.server_id, known.left_ns,
  known.gone_seq AS seq,
  removal.args ->> '$.message.expected' AS expected,
  removed.stimulus,
  closing.args ->> '$.message.reason' AS reason,
  killed.args ->> '$.reason' AS nanny_reason,
  ended.args ->> '$.exitcode' AS exit_code,
  ended.args ->> '$.outOfMemoryKills' AS out_of_memory_kills,
  memory.args ->> '$.message.rss' AS restarted_at_bytes,
  ended.seq AS exit_seq,
  (SELECT json_group_array(reason) FROM (
    SELECT said.args ->> '$.reason' AS reason FROM told AS said
    WHERE said.run = known.run AND said.worker = known.worker AND said.life = known.life
      AND said.kind = 'manager' ORDER BY said.seq) HAVING count(*) > 0) AS manager_reasons
FROM known
LEFT JOIN told AS removal ON removal.run = known.run AND removal.worker = known.worker
  AND removal.life = known.life AND removal.kind = 'remove-worker' AND removal.rank = 1
LEFT JOIN told AS removed ON removed.run = known.run AND removed.worker = known.worker
  AND removed.life = known.life AND removed.kind = 'removeWorker' AND removed.rank = 1
LEFT JOIN told AS closing ON closing.run = known.run AND closing.worker = known.worker
  AND closing.life = known.life AND closing.kind = 'closing-worker' AND closing.rank = 1
LEFT JOIN told AS killed ON killed.run = known.run AND killed.worker = known.worker
  AND killed.life = known.life AND killed.kind = 'kill' AND killed.rank = 1
LEFT JOIN told AS ended ON ended.run = known.run AND ended.worker = known.worker
  AND ended.life = known.life AND ended.kind = 'exit' AND ended.rank = 1
LEFT JOIN told AS memory ON memory.run = known.run AND memory.worker = known.worker
  AND memory.life = known.life AND memory.kind = 'worker-restart-memory' AND memory.rank = 1
WHERE known.gone_seq IS NOT NULL OR ended.seq IS NOT NULL
ORDER BY known.run, coalesce(known.gone_seq, ended.seq), known.worker;
