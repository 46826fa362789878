"""What the reading API answers about logs: the same with the native library and without.

python reading_answers.py [values | analyses] LOG ...   prints a JSON object of answers as text, by
question: about the logs, about values and patterns in SQL, for which any log will do, or what
analyses say of the runs.
"""

from __future__ import annotations

import datetime
import itertools
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import tasklog
from globs import GLOBS

VIEWS = (
    "clock_bounds clock_offsets critical_path dependencies error_causes errors event_kinds events"
    " failure_texts failures gaps labels open_tasks prefix_states prefixes run_differences runs"
    " slowest state_intervals stays stimuli stories task_durations tasks transitions worker_errors"
    " workers"
).split()

#: Values of every type, in every order.
VALUES = [
    "NULL", "1", "-7", "9223372036854775807", "2.5", "1e300", "-0.0", "0.1", "100000.0", "1.0",
    "1e15", "123456789012345680.0", "'text'", "''", "'é\U0001f600'", "x'00ff'", "x''",
    "'2026-01-31T12:00:00.123456Z'", "'2026-02-31T12:00:60Z'", "'2026-01-31 12:00:00'",
    "1769860800123456789", "1769860800.25", "1769860800.0000005", "-1.5e-6", "9.3e9", "9.1e9",
    "CAST(x'41ff42c3' AS TEXT)", "CAST(x'e28241f0908041' AS TEXT)", "CAST(x'eda080' AS TEXT)",
]  # fmt: skip
NAMES = ["x", "time", "start", "time_ns"]

#: Expressions, and what they are looked for in.
EXPRESSIONS = [
    "", "a", "^a", "a$", "^$", "a|b", "a||b", "(a|b)+c", "a*", "a+b?", "a{2}", "a{2,}", "a{,2}b",
    "a{1,3}b", "(ab){2}", "[abc]", "[^abc]", "[a-c]x", "[]a]", "[^]a]", "[a-]", "[-a]", "[a\\]",
    "[[:alpha:]]+[[:digit:]]", "[[:space:]]", "[^[:alnum:]]", "[[:punct:]]", "[[:xdigit:]]{4}",
    "[[.a.]b]", "[[=a=]b]", "\\.", "\\w+", "\\W", "\\s", "\\S+", "\\bab", "ab\\b", "\\<ab",
    "ab\\>", "\\`a", "a\\'", "\\d", "(a)\\1", "(a)(b)\\2", ".", "...", "é", "[é]", "[^é]", "a.b",
    "x^", "x$y", "(^a)b", "a(b$)", "()", "(())a", "((a)|(b))*", "a**", "a+?", "a?*", "\\(",
    "\\)", "\\{", "\\*",
    "[", "[a", "(", ")", "(a", "a)", "a{", "a{1", "a{a}", "a{2,1}", "a{99999}", "\\", "[b-a]",
    "[[:none:]]", "\\2", "*a", "+a", "?a", "{1}a", "a|*b", "(*a)", "^*a", "[[:alpha:]", "[a-",
    "a{,3}$", "a{x}", "{a}", "^a{1001}", "(?i)AB", "a(?i)B|c", "(?i:A)b", "((?i)a)B", "(?i)É",
    "(?i)[^É]", "(?i)[[:upper:]]x", "(?m)^b$", "(?m:^)b", "(?-i)a", "(?s)a.b", "(?x)a", "(?",
    "(?:a|b)c", "(?P<n>a)b", "(?<n>a)", "(?<>a)", "(?=a)", "(?!a)", "(?<=a)b", "(?>a)", "a++",
    "a{1}{2}", "(a*)*", "(^)*a", "\\d+", "\\D", "[\\d-]", "[a\\]]", "[\\D1]", "[a-\\d]", "[\\n]",
    "[[:^alpha:]]$", "\\x41", "\\x{e9}", "\\u00e9", "\\xd", "\\x{d800}", "\\q", "\\pL", "\\t",
    "\\Aa\\z", "\\Bb", "a\\B", "\\b$", "^\\b", "\\bé", "é\\b", "\\b*", "()*",
    "x" * 10001, "(" * 101,
    "increment-[0-9a-f]{4}", "^load", "load-[12]$", "a{0}b", "a{0,0}b", "(a|ab)(c|bcd)(d*)",
]  # fmt: skip
TEXTS = [
    "", "a", "b", "ab", "ba", "aa", "aab", "abab", "abcd", "c", "x", "ax", "]", "-", "\\", "1",
    "a1", " ", "a b", "a\nb", "\n", "é", "aéb", "a.b", "axb", "_", "d", "dé", "load-1", "load-2",
    "xload-1", "increment-00ff", "{", "a{", "*", "*a", "+a", "(", ")", "x^", "x$y", "aac",
    "bc", "00fF", "\t",
    "a{1", "a{a}", "|", "?a", "^a", "[", "{1}a",
]  # fmt: skip


#: Expressions that select runs.
SELECTIONS = [
    "closed", "not failed last 1", "failed>=1 and tasks<500 or died", "engine!=d?sk first 2",
    "host=* and place=*[a-z]* and user!=root", "prefix=load and not label.pipeline", "prefix>1",
    "started>=2026-01-31T12:00:00.5 and started>-70d", "started<'2026-01-31 13:00+01:00'",
    "duration<500ms or duration>1.5h", "(events>1e2 or tasks>0x5) and ended", "((closed)",
    "closed and", "speed>1", "tasks=many", "started>2026-02-30", "host<x", "closed last none", "!",
]  # fmt: skip


def answers(paths: list[str]) -> dict[str, Any]:
    if paths[0] == "values":
        log = tasklog.open(paths[1:])
        return {**dict(_of_values(log)), **dict(_of_patterns(log))}
    if paths[0] == "analyses":
        log = tasklog.open(paths[1:])
        found = dict(_of_runs(log))
        # A folder has many.
        return {**found, **dict(_of_selections(log))} if len(log.runs) > 1 else found
    return dict(_of_log(tasklog.open(paths)))


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except (tasklog.LogError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def _table(table: tasklog.Table) -> Any:
    def read() -> Any:
        rows = sorted(repr(_args(row)) for row in table)
        arrow = table.arrow()
        return [
            table.columns, rows, len(table), bool(table), str(arrow.schema),
            sorted(map(repr, arrow.to_pylist())), repr(table.pl().schema),
            [str(kind) for kind in table.df().dtypes],
        ]  # fmt: skip

    return _asked(read)


def _args(row: Any) -> tuple[Any, ...]:
    return tuple(v.json if isinstance(v, tasklog.Args) else v for v in row)


def _of_log(log: tasklog.Log) -> Iterator[tuple[str, Any]]:
    yield "runs", _table(log.runs)
    for view in VIEWS:
        yield f"all of {view}", _table(log.sql(f"SELECT * FROM {view}"))
    for run in log:
        name = f"run {run.number}: "
        yield name + "text", repr(run)
        yield name + "info", repr(run.info)
        yield name + "tasks", _table(run.tasks())
        yield name + "transitions", _table(run.transitions())
        yield name + "durations", _table(run.durations())
        yield name + "gaps", _table(run.gaps)
        for options in (
            {"key": "*-[12]"}, {"finish": "erred"}, {"source": "worker"}, {"worker": "tcp*"},
            {"prefix": "load", "start": "waiting"}, {"key": "no such key"},
        ):  # fmt: skip
            yield name + f"transitions {options}", _table(run.transitions(**options))
        for view in ("tasks", "workers", "prefix_states", "runs"):
            yield name + view, _table(run.sql(f"SELECT * FROM {view}"))
        args = [repr(dict(row.args)) for row in run.transitions() if row.args is not None]
        # An object without a text has its address.
        yield name + "args", [re.sub(r" at 0x[0-9a-f]+", "", text) for text in args]
    for sql in (
        "SELECT run, count(*) AS n, sum(nbytes) FROM tasks GROUP BY run ORDER BY n DESC, run",
        "SELECT prefix, avg(duration) FROM task_durations WHERE action = 'compute' GROUP BY 1",
        "SELECT count(*) FROM runs JOIN tasks USING (run)",
        "SELECT count(*) FROM runs NATURAL JOIN tasks",
        "SELECT a.key, b.finish FROM tasks AS a JOIN transitions AS b ON a.key = b.key",
        "WITH t AS (SELECT * FROM tasks) SELECT count(*), max(key) FROM t",
        "SELECT 1; SELECT 2", "", "-- no", "SELEC",
        "SELECT :a, ?", "SELECT ?1", "SELECT :a", "DELETE FROM tasks", "CREATE TABLE x (a)",
        "ATTACH 'other.db' AS other", "PRAGMA user_version = 3", "PRAGMA user_version",
        "SELECT load_extension('x')", "DROP VIEW tasks", "SELECT * FROM nowhere",
        "SELECT nothing FROM tasks", "INSERT INTO tasks (key) VALUES (1)", "VACUUM",
        "UPDATE runs SET uuid = 1", "BEGIN", "SELECT value FROM json_each('[1, 2]')",
        "SELECT name FROM pragma_table_info('tasks')", "SELECT 'a' REGEXP '('",
    ):  # fmt: skip
        yield f"SQL {sql}", _table(log.sql(sql))
    yield "a parameter", _table(log.sql("SELECT :a AS a, $b, @c", a=1, b="x", c=b"\0"))
    yield "a parameter too many", _table(log.sql("SELECT :a", a=1, z=2))
    yield "a timeout", _asked(lambda: list(log.sql("SELECT 1", timeout=-1.0)))


def _of_runs(log: tasklog.Log) -> Iterator[tuple[str, Any]]:
    for run in log:
        name = f"run {run.number}: "
        for what, table in (
            ("critical path", run.critical_path),
            ("slowest", run.slowest), ("transfers", lambda r=run: r.slowest(3, action="transfer")),
        ):  # fmt: skip
            yield name + what, _asked(lambda table=table: _ordered(table()))
        errors = _asked(run.errors)
        for table in ("errors", "causes", "affected", "at_workers"):
            found = errors if table == "errors" else getattr(errors, table)
            yield name + table, _ordered(found)
        middle = list(run.sql("SELECT (first_seq + last_seq) / 2 FROM runs"))[0][0]
        late = run.info.started + datetime.timedelta(seconds=0.1)
        for what, make in (
            ("summary", run.summary), ("state", lambda r=run, at=middle: r.state(at=at)),
            ("state at a time", lambda r=run, at=late: r.state(at=at)),
        ):  # fmt: skip
            report = _asked(make)
            for table in report:
                yield f"{name}{what} {table}", _ordered(report[table])
        yield from _stories(run, name)


def _stories(run: tasklog.Run, name: str) -> Iterator[tuple[str, Any]]:
    """The stories of the task with the most events, of one that failed, and of a stimulus."""
    subjects = run.sql("""
        SELECT key FROM (SELECT key FROM tasks ORDER BY transitions DESC, key LIMIT 1)
        UNION SELECT key FROM (SELECT key FROM errors ORDER BY seq LIMIT 1)
        UNION SELECT stimulus FROM (SELECT stimulus FROM transitions ORDER BY seq DESC LIMIT 1)
    """)
    for (subject,) in subjects:
        yield f"{name}story {subject}", _asked(lambda s=subject: _ordered(run.story(s)))
    # The file may be a temporary one, and what there is to search with differs.
    said = re.search("no key or stimulus 'nothing'", _asked(lambda: run.story("nothing")))
    yield name + "no story", said is not None


def _of_selections(log: tasklog.Log) -> Iterator[tuple[str, Any]]:
    runs = log.runs
    for expression in SELECTIONS:
        found = _asked(lambda e=expression: [row.run for row in runs.where(e)])
        yield f"runs where {expression}", found


def _ordered(table: tasklog.Table) -> Any:
    rows = [repr(_args(row)) for row in table]
    return [table.columns, rows, str(table.arrow().schema)]


def _of_values(log: tasklog.Log) -> Iterator[tuple[str, Any]]:
    for name in NAMES:
        for one in VALUES:
            # A column for each other value.
            first = ", ".join(f"{one} AS {name}" for _ in VALUES)
            second = ", ".join(VALUES)
            sql = f"SELECT {first} UNION ALL SELECT {second} UNION ALL SELECT {first}"
            yield sql, _asked(lambda sql=sql: _typed(log.sql(sql)))
    for name, late in itertools.product(NAMES[:2], ("'text'", "2.5", "x'00'", "7")):
        sql = f"""
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 66000)
            SELECT CASE WHEN i < 65990 THEN 5 WHEN i < 65995 THEN NULL ELSE {late} END AS {name}
            FROM n
        """
        yield sql, _asked(lambda sql=sql: _typed(log.sql(sql), last=12))


def _typed(table: tasklog.Table, last: int = 3) -> Any:
    return [repr(tuple(row)) for row in list(table)[-last:]], str(table.arrow().schema)


def _of_patterns(log: tasklog.Log) -> Iterator[tuple[str, Any]]:
    texts = json.dumps(TEXTS)
    for expression in EXPRESSIONS:
        table = log.sql(
            "SELECT value, value REGEXP :e FROM json_each(:texts)", e=expression, texts=texts
        )
        yield f"REGEXP {expression}", _asked(lambda table=table: [tuple(row) for row in table])
    for case in GLOBS:
        names = json.dumps([*case["matches"], *case["others"]])
        sql = "SELECT value, tasklog_matches(:p, value) FROM json_each(:names)"
        table = log.sql(sql, p=case["pattern"], names=names)
        yield f"pattern {case['pattern']}", [tuple(row) for row in table]
    yield "args", _table(log.sql("SELECT tasklog_args(args, time_ns) FROM events"))
    odd = "SELECT NULL REGEXP 'a', 'a' REGEXP NULL, 12 REGEXP '1', tasklog_matches(NULL, 'a')"
    yield "odd arguments", _table(log.sql(odd))


if __name__ == "__main__":
    warnings.simplefilter("ignore", tasklog.LogWarning)
    print(json.dumps(answers(sys.argv[1:])))
