"""What a user writes to read a log; checked by mypy with all its checks."""

import datetime

import tasklog


def main(path: str) -> int:
    log = tasklog.open([path])
    run: tasklog.Run = log.run("#1", strict=True)
    info: tasklog.RunInfo = run.info
    started: datetime.datetime = info.started
    duration: float | None = info.duration
    print(started, duration, run.labels.get("pipeline"))
    table: tasklog.Table = run.tasks()
    columns: list[str] = table.columns
    for row in run.transitions(key="sum-*", finish="erred", since=started):
        print(row.key, columns)
    causes: tasklog.Table = run.errors().causes
    causes.show()
    print(len(run.sql("SELECT 1 AS one WHERE :x > 0", timeout=5, x=1)))
    print(run.summary().prefixes.df(), run.state(at=30)["states"].pl(), table.arrow())
    try:
        run.report("report.html")
    except tasklog.LogError as error:
        print(error)
    print(run.slowest("ten"))
    return len(log.runs)
