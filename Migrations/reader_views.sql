-- Views that need functions of `tasklog`, which another SQLite does not have: a reader creates them as
-- TEMP views, and no file has them. What a heartbeat says is packed in a log (`PackedHeartbeat`).

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
