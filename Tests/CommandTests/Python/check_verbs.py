"""Computes summary, errors and critical-path of each run from the view `events` alone.

Compares them with the output of `tasklog`. Usage: check_verbs.py LOG TASKLOG
"""

import json
import math
import sqlite3
import subprocess
import sys
from collections import defaultdict

log, tasklog = sys.argv[1:]
connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
connection.row_factory = sqlite3.Row
rows = connection.execute("SELECT * FROM events ORDER BY seq").fetchall()
failures = []


def ask(run, *verb):
    answer = subprocess.run(
        [tasklog, *verb, "--log", log, "--run", f"#{run}", "--format", "json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(answer.stdout)


def same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return a is not None and b is not None and math.isclose(a, b, rel_tol=1e-6, abs_tol=2e-6)
    return a == b


def rank(ordered, percent):
    """The percentile of durations in nanoseconds, in seconds."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] / 1e9


def extent(found):
    """The first start and the last stop of spans, in nanoseconds; None if there are none."""
    if not found:
        return None
    return [
        round(min(start for start, _ in found) * 1e6) * 1000,
        round(max(stop for _, stop in found) * 1e6) * 1000,
    ]


def compare(what, ours, theirs, columns):
    theirs = [{name: row[name] for name in columns} for row in theirs]
    if len(ours) != len(theirs) or not all(
        same(a[name], b[name]) for a, b in zip(ours, theirs, strict=True) for name in columns
    ):
        failures.append(what)
        print(f"{what}: computed here, then what tasklog says")
        for row in ours:
            print("  ", [row[name] for name in columns])
        for row in theirs:
            print("  ", [row[name] for name in columns])


def spans(args, action):
    found = args.get("startstops", [])
    found = found.get("$tuple", []) if isinstance(found, dict) else found
    return [(s["start"], s["stop"]) for s in found if s.get("action") == action]


class Task:
    def __init__(self):
        self.sent = self.done = self.failed = 0
        self.nbytes = 0
        self.outcomes = []
        self.dependencies = []
        self.sent_times = []
        self.first_time = None


def identity(key):
    """Converts a key in JSON to the columns key_typed (if any) and key."""
    return (
        ("", key)
        if isinstance(key, str) and "\0" not in key
        else (json.dumps(key, separators=(",", ":"), ensure_ascii=False), None)
    )


def name(row):
    return (row["key_typed"], None) if row["key_typed"] else ("", row["key"])


for run in sorted({row["run"] for row in rows}):
    tasks = defaultdict(Task)
    prefix_of, text_of = {}, {}
    compute = defaultdict(float)
    stays, last = defaultdict(list), {}
    workers = {}
    errors, by_stimulus, by_key, affected = [], {}, {}, []
    last_time = defaultdict(int)
    for row in rows:
        if row["run"] != run:
            continue
        last_time[row["server_id"]] = row["time_ns"]
        if row["source"] == "worker":
            worker = workers.setdefault(row["worker"], defaultdict(int))
            worker["seen"] = min(row["time_ns"], worker["seen"] or row["time_ns"])
        args = json.loads(row["args"] or "{}")
        snapshot = json.loads(row["snapshot"] or "{}")
        if row["hook"] in ("addWorker", "removeWorker", "setup") and row["worker"]:
            worker = workers.setdefault(row["worker"], defaultdict(int))
            if row["hook"] == "addWorker":
                worker["joined"] = row["time_ns"]
            elif row["hook"] == "removeWorker":
                worker["left"] = row["time_ns"]
            worker["nthreads"] = max(
                worker["nthreads"], snapshot.get("worker", {}).get("nthreads", 0)
            )
        if row["source"] == "scheduler" and row["hook"] in ("updateGraph", "attach", "stimulus"):
            graph = snapshot.get("graph") or snapshot.get("attach", {}).get("tasks", [])
            # Dask's graphs have the keys in the args.
            names = args.get("tasks", [])
            names = names.get("$tuple", []) if isinstance(names, dict) else names
            for place, entry in enumerate(graph):
                task = entry["key"] if "key" in entry else names[place]
                tasks[identity(task)].dependencies += [
                    identity(key) for key in entry.get("dependencies", [])
                ]
        if row["hook"] != "transition":
            continue
        key, start, finish = name(row), row["start"], row["finish"]
        prefix_of[key], text_of[key] = row["prefix"], row["key"]
        if row["source"] == "scheduler" and tasks[key].first_time is None:
            tasks[key].first_time = row["time_ns"]
        if start == finish:
            continue
        place = (row["server_id"], key)
        if place in last:
            state, since = last[place]
            if state != "forgotten":
                stays[row["prefix"], row["source"], state].append(row["time_ns"] - since)
        last[place] = (finish, row["time_ns"])
        if row["source"] != "scheduler":
            continue
        task = tasks[key]
        if finish == "processing":
            task.sent += 1
            task.sent_times.append((row["seq"], row["time_ns"]))
        task.done += finish == "memory"
        task.failed += finish == "erred"
        if start == "processing" and finish in ("memory", "erred"):
            task.nbytes = args.get("nbytes", 0) if finish == "memory" else 0
            seconds = sum(stop - begin for begin, stop in spans(args, "compute"))
            compute[row["prefix"]] += seconds
            worker = workers.setdefault(args["worker"], defaultdict(int))
            worker["tasks" if finish == "memory" else "failed"] += 1
            worker["nbytes"] += args.get("nbytes", 0) if finish == "memory" else 0
            worker["busy"] += seconds
            task.outcomes.append((row["seq"], row["time_ns"], finish, args, task.sent_times[-1]))
        if finish == "erred":
            if start == "processing" or args.get("exception_text") is not None:
                error = {
                    "seq": row["seq"],
                    "key": row["key"],
                    "worker": args.get("worker"),
                    "exception": args.get("exception_text"),
                    "retries": task.sent - 1,
                    "traceback": args.get("traceback_text"),
                    "dependents": 0,
                }
                errors.append(error)
                by_stimulus[row["stimulus"]] = by_key[key] = error
            else:
                # A task that is submitted after the failure fails by its own graph.
                blamed = [by_key[needed] for needed in task.dependencies if by_key.get(needed)]
                cause = by_stimulus.get(row["stimulus"]) or next(iter(blamed), None)
                by_key[key] = cause
                if cause:
                    cause["dependents"] += 1
                affected.append(
                    {
                        "seq": row["seq"],
                        "key": row["key"],
                        "cause_key": cause["key"] if cause else None,
                    }
                )

    seen = [key for key in tasks if tasks[key].first_time is not None]
    prefixes = []
    for prefix in sorted({prefix_of[key] for key in seen}, key=lambda p: p.encode()):
        own = [tasks[key] for key in seen if prefix_of[key] == prefix]
        prefixes.append(
            {
                "prefix": prefix,
                "tasks": len(own),
                "done": sum(t.done > 0 for t in own),
                "failed": sum(t.failed > 0 for t in own),
                "retried": sum(t.sent > 1 for t in own),
                "nbytes": sum(t.nbytes for t in own),
                "compute": compute[prefix],
            }
        )
    states = []
    for (prefix, source, state), taken in sorted(stays.items()):
        taken.sort()
        states.append(
            {
                "prefix": prefix,
                "source": source,
                "state": state,
                "count": len(taken),
                "seconds": sum(taken) / 1e9,
                "p50": rank(taken, 50),
                "p95": rank(taken, 95),
                "max": rank(taken, 100),
            }
        )
    end = max(last_time.values())
    shares = []
    for address, worker in sorted(
        workers.items(), key=lambda w: (w[1]["joined"] or w[1]["seen"], w[0])
    ):
        # A recorder that was attached in the middle has not seen them join.
        life = ((worker["left"] or end) - (worker["joined"] or worker["seen"])) / 1e9
        shares.append(
            {
                "worker": address,
                "tasks": worker["tasks"],
                "failed": worker["failed"],
                "nbytes": worker["nbytes"],
                "busy": float(worker["busy"]),
                "utilization": round(worker["busy"] / max(worker["nthreads"], 1) / life, 4),
            }
        )

    summary = ask(run, "summary")
    compare(f"run {run}: prefixes", prefixes, summary["prefixes"], list(prefixes[0]))
    compare(f"run {run}: states", states, summary["states"], list(states[0]))
    compare(f"run {run}: workers", shares, summary["workers"], list(shares[0]))

    told = ask(run, "errors")
    columns = ["seq", "key", "worker", "exception", "retries", "traceback", "dependents"]
    compare(f"run {run}: errors", errors, told["errors"], columns)
    compare(f"run {run}: affected", affected, told["affected"], ["seq", "key", "cause_key"])
    causes = defaultdict(list)
    for error in errors:
        causes[error["exception"]].append(error)
    grouped = [
        {
            "exception": exception,
            "tasks": len(found),
            "dependents": sum(e["dependents"] for e in found),
            "workers": len({e["worker"] for e in found if e["worker"]}),
            "first_key": found[0]["key"],
        }
        for exception, found in causes.items()
    ]
    grouped.sort(key=lambda cause: -cause["tasks"])
    compare(
        f"run {run}: causes",
        grouped,
        told["causes"],
        ["exception", "tasks", "dependents", "workers", "first_key"],
    )

    # The chain: from the last outcome back over the dependency that came last before it was sent.
    chain = []
    outcome = max(((o, key) for key in seen for o in tasks[key].outcomes), key=lambda o: o[0][0])
    while outcome:
        chain.insert(0, outcome)
        (seq, _, _, _, (sent_seq, _)), key = outcome
        before = [
            (o, dependency)
            for dependency in tasks[key].dependencies
            for o in tasks[dependency].outcomes
            if o[2] == "memory" and o[0] < sent_seq
        ]
        outcome = max(before, key=lambda o: o[0][0]) if before else None
    path, previous = [], None
    for (_, done, _, args, (_, sent)), key in chain:
        ready = previous if previous is not None else tasks[key].first_time
        sent = max(sent, ready)
        computed = extent(spans(args, "compute")) or [sent, done]
        fetched = extent(spans(args, "transfer"))
        begun = min(max(computed[0], sent), done)
        ended = min(max(computed[1], begun), done)
        phases = [("wait", ready, sent)]
        if fetched:
            low, high = (min(max(moment, sent), begun) for moment in fetched)
            phases += [("queue", sent, low), ("transfer", low, high), ("queue", high, begun)]
        else:
            phases += [("queue", sent, begun)]
        phases += [("compute", begun, ended), ("report", ended, done)]
        path += [
            {"key": text_of[key], "phase": phase, "seconds": (stop - start) / 1e9}
            for phase, start, stop in phases
            if stop > start or phase == "compute"
        ]
        previous = done
    told = ask(run, "critical-path")
    compare(f"run {run}: critical path", path, told, ["key", "phase", "seconds"])
    print(
        f"run {run}: {len(prefixes)} prefixes, {len(states)} states, {len(shares)} workers, "
        f"{len(errors)} errors, {len(affected)} affected, {len(path)} phases of the path"
    )

sys.exit(1 if failures else 0)
