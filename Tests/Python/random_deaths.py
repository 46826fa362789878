"""Random deaths of workers, and whether the causes that are concluded from the log are right.

A program that resumes where it was interrupted: each round is another cluster, whose workers end at
random moments in random ways while tasks run, some of them with the spool of the worker gone.
Its result is a line in a file; `report` counts what was concluded wrongly.

    python random_deaths.py --folder /tmp/deaths --tasklog .build/debug/tasklog

"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import distributed
from distributed import Client

import deaths
import workloads
from clusters import CommandCluster, Process, Recording, scaling_cluster, wait_for

DEATHS, WITHOUT_SPOOL, SEED = 60, 20, 20261129
#: Workers of a round.
MOST = 10
LIMIT = "300MiB"

#: How a worker may end, and the causes that are right. "unknown" is right where nothing else is,
#: and never wrong.
NANNY = {
    "SIGKILL": {"killed"},
    "SIGTERM": {"killed"},
    "SIGSTOP": {"heartbeat-lost"},
    "memory": {"out-of-memory"},
    "exit": {"exited"},
    "segfault": {"crashed"},
    "abort": {"crashed"},
    "lifetime": {"lifetime"},
    "retire": {"retired"},
    "close": {"closed"},
    "restart": {"restarted"},
    "shutdown": {"shutdown"},
    "SIGTERM of the nanny": {"killed"},
}
#: Ways after which no nanny can tell: it ends as well, is out of reach, or there is none.
OTHER = {
    "with its nanny": {"unknown"},
    "network": {"heartbeat-lost"},
    "SIGKILL without a nanny": {"unknown"},
    "SIGTERM without a nanny": {"killed"},
    "exit without a nanny": {"unknown"},
    "scaled down": {"scaled-down"},
}
RIGHT = NANNY | OTHER
#: The way that needs another kind of cluster.
SCALED = "scaled down"
#: If a cgroup for tests can be made.
CGROUP = {"kernel's OOM killer": {"out-of-memory"}, "OOM without a nanny": {"unknown"}}


@dataclass
class Death:
    """A worker that is to end."""

    name: str
    way: str
    is_spool_gone: bool
    #: Seconds after the workers are there.
    after: float

    @property
    def has_nanny(self) -> bool:
        return self.way in NANNY or self.way == "kernel's OOM killer"


def plan(count: int, without_spool: int, seed: int, ways: list[str]) -> list[list[Death]]:
    """The deaths of each round: each way at least once, if there are enough."""
    chance = random.Random(seed)
    chosen = (ways * (1 + count // len(ways)))[: max(count // 2, min(count, len(ways)))]
    chosen += chance.choices(ways, k=count - len(chosen))
    chance.shuffle(chosen)
    gone = set(chance.sample(range(count), without_spool))
    planned = [
        Death(f"d-{place}", way, place in gone, round(chance.uniform(0, 8), 2))
        for place, way in enumerate(chosen)
    ]
    scaled = [death for death in planned if death.way == SCALED]
    others = [death for death in planned if death.way != SCALED]
    rounds = [others[start : start + MOST] for start in range(0, len(others), MOST)]
    return rounds + ([scaled] if scaled else [])


class Round:
    """A cluster whose workers end as planned."""

    def __init__(self, folder: Path, planned: list[Death], seed: int) -> None:
        folder.mkdir(parents=True)
        self.recording = Recording(folder)
        self.recording.prepare()
        deaths.use_own_spools(self.recording)
        self.recording.environment.update(
            DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="5s",
            DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1000",
            DASK_DISTRIBUTED__SCHEDULER__PRELOAD='["tasklog"]',
            DASK_DISTRIBUTED__WORKER__PRELOAD="[]",
        )
        self.planned = planned
        self.chance = random.Random(seed)
        self.addresses: dict[str, str] = {}
        self.pids: dict[str, int] = {}
        self.processes: dict[str, Process] = {}
        self.proxies: dict[str, Process] = {}
        self._kept: list[Any] = []

    def run(self) -> None:
        if self.planned[0].way == SCALED:
            return self._run_scaled()
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(CommandCluster(self.recording))
            self.cgroups: dict[str, Path] = {}
            for death in self.planned:
                self._add(stack, cluster, death)
            with Client(cluster.address) as client:
                client.wait_for_workers(len(self.planned), timeout=240)
                self._learn(client)
                self._end_all(client)
                self._wait(client)
                client.shutdown()
            cluster.scheduler.process.wait(120)
            for process in self.processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.process.wait(20)

    def _run_scaled(self) -> None:
        count = len(self.planned)
        with scaling_cluster(self.recording) as cluster:
            cluster.scale(count)
            with Client(cluster) as client:
                client.wait_for_workers(count, timeout=240)
                for death, (address, _) in zip(
                    self.planned, workloads.workers_of(client).items(), strict=True
                ):
                    self.addresses[death.name] = address
                cluster.adapt(minimum=0, maximum=count, interval="50ms", wait_count=2)
                wait_for(lambda: not workloads.workers_of(client), "end of the workers", 240)

    # Workers

    def _spool(self, death: Death) -> Path:
        return self.recording.folder / f"spool-{death.name}"

    def _add(self, stack: contextlib.ExitStack, cluster: CommandCluster, death: Death) -> None:
        arguments = ["--name", death.name, "--memory-limit", LIMIT]
        self._spool(death).mkdir()
        environment = {**self.recording.environment, "TMPDIR": str(self._spool(death))}
        address = cluster.address
        if not death.has_nanny and death.way != "with its nanny":
            arguments += ["--no-nanny"]
        if death.way == "lifetime":
            arguments += ["--lifetime", f"{40 + death.after:.0f}s"]
        if death.way == "network":
            proxy, address = stack.enter_context(deaths.proxy(self.recording, cluster.address))
            self.proxies[death.name] = proxy
        command = [
            sys.executable, "-m", "dask", "worker", address, "--no-dashboard", "--nthreads", "1",
            "--local-directory", str(self.recording.folder), *arguments,
        ]  # fmt: skip
        if death.way in CGROUP:
            cgroup = deaths.new_cgroup(death.name)
            assert cgroup is not None
            stack.callback(deaths.remove_cgroup, cgroup)
            # With its nanny, which counts there.
            command = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs; exec "$@"', "sh", *command]
        process = Process(command, environment, self.recording.folder)
        stack.callback(process.kill)
        self.processes[death.name] = process

    def _learn(self, client: Client) -> None:
        names = {address: w["name"] for address, w in workloads.workers_of(client).items()}
        self.addresses = {name: address for address, name in names.items()}
        self.pids = {names[address]: pid for address, pid in client.run(os.getpid).items()}

    def _submit(self, client: Client, death: Death, function: Any, *args: Any) -> None:
        self._kept.append(
            client.submit(
                function, *args, workers=[self.addresses[death.name]], pure=False,
                allow_other_workers=False, key=f"{function.__name__}-{death.name}",
            )
        )  # fmt: skip

    # Ends

    def _end_all(self, client: Client) -> None:
        begin = time.monotonic()
        # Some of them are computing, some hold results, some are idle.
        self._kept.append(client.map(workloads.slow, [0.3] * 60, range(60), pure=False))
        for death in sorted(self.planned, key=lambda death: death.after):
            # The moment, and not a condition, is what is random here.
            time.sleep(max(0.0, begin + death.after - time.monotonic()))
            self._end(client, death)
            if death.is_spool_gone:
                deaths.remove_spool(self._spool(death))

    def _end(self, client: Client, death: Death) -> None:
        address, pid, way = self.addresses[death.name], self.pids[death.name], death.way
        if way.startswith(("SIGKILL", "SIGTERM", "SIGSTOP")) and "of the" not in way:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.Signals[way.split()[0]])
        elif way in ("memory", *CGROUP):
            self._submit(client, death, deaths.eat, 400)
        elif way.startswith("exit"):
            self._submit(client, death, os._exit, self.chance.choice((1, 3, 7)))
        elif way == "segfault":
            self._submit(client, death, deaths.segfault)
        elif way == "abort":
            self._submit(client, death, os.abort)
        elif way == "retire":
            client.retire_workers([address])
        elif way == "close":
            client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.close_worker(address))
        elif way == "restart":
            with contextlib.suppress(Exception):
                client.restart_workers([address], timeout=60)
        elif way == "SIGTERM of the nanny":
            self.processes[death.name].process.send_signal(signal.SIGTERM)
        elif way == "with its nanny":
            self.processes[death.name].kill()
        elif way == "network":
            os.kill(self.proxies[death.name].process.pid, signal.SIGSTOP)
        else:
            assert way in ("lifetime", "shutdown"), way

    def _wait(self, client: Client) -> None:
        ending = {self.addresses[d.name] for d in self.planned if d.way != "shutdown"}
        wait_for(lambda: not ending & set(workloads.workers_of(client)), "ends of all", 240)

    # What is concluded

    def results(self, tasklog: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [tasklog, "workers", "--deaths", "--format", "json", "--log", self.recording.log],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows = json.loads(done.stdout)
        found = []
        for death in self.planned:
            mine = [row for row in rows if row["worker"] == self.addresses[death.name]]
            cause = mine[0]["cause"] if len(mine) == 1 else f"{len(mine)} ends"
            found.append(
                asdict(death) | {
                    "nanny": death.has_nanny, "cause": cause,
                    "right": sorted((RIGHT | CGROUP)[death.way]),
                    "explanation": mine[0]["explanation"] if mine else None,
                    "distributed": distributed.__version__,
                }
            )  # fmt: skip
        # Those that nannies have started again.
        others = {row["cause"] for row in rows} - {None}
        rest = [row for row in rows if row["worker"] not in self.addresses.values()]
        wrong = [r for r in rest if r["cause"] not in ("shutdown", "unknown", "nanny-closed")]
        assert others and not wrong, wrong
        return found


def is_wrong(result: dict[str, Any]) -> bool:
    return result["cause"] not in (*result["right"], "unknown")


def is_undecided(result: dict[str, Any]) -> bool:
    return result["cause"] == "unknown" and "unknown" not in result["right"]


def report(results: list[dict[str, Any]]) -> str:
    with_nanny = [result for result in results if result["nanny"]]
    undecided = [result for result in with_nanny if is_undecided(result)]
    lines = [
        f"{len(results)} deaths, {sum(r['is_spool_gone'] for r in results)} with the spool gone: "
        f"{sum(map(is_wrong, results))} wrong causes; {len(undecided)} of {len(with_nanny)} "
        "unknown whose nanny lived"
    ]
    ways = Counter((r["way"], r["cause"], is_wrong(r)) for r in results)
    for (way, cause, wrong), count in sorted(ways.items()):
        lines.append(f"  {count:3} {way}: {cause}{' WRONG' if wrong else ''}")
    return "\n".join(lines)


def run(
    folder: Path, tasklog: str, count: int, without_spool: int, seed: int, most_rounds: int | None
) -> tuple[list[dict[str, Any]], bool]:
    """Runs the rounds that are not done yet; the results, and whether that is all of them."""
    ways = [*RIGHT]
    if deaths.can_have_cgroups():
        ways += CGROUP
    file = folder / "results.jsonl"
    rounds = plan(count, without_spool, seed, ways)
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    names = {result["name"] for result in done}
    started = 0
    for number, planned in enumerate(rounds):
        if planned[0].name in names:
            continue
        if started == most_rounds:
            return done, False
        started += 1
        here = folder / f"round-{number}"
        shutil.rmtree(here, ignore_errors=True)
        one = Round(here, planned, seed + number)
        one.run()
        found = one.results(tasklog)
        with file.open("a") as output:
            output.writelines(json.dumps(result) + "\n" for result in found)
        done += found
    return done, True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="results, and the logs")
    parser.add_argument("--tasklog", required=True, help="the program")
    parser.add_argument("--deaths", type=int, default=DEATHS)
    parser.add_argument("--without-spool", type=int, default=WITHOUT_SPOOL)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rounds", type=int, help="stop after so many rounds")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    results, is_all = run(
        given.folder, given.tasklog, given.deaths, given.without_spool, given.seed, given.rounds
    )
    print(report(results))
    if not is_all:
        print("not all rounds are done: run it again to continue")
    return int(any(map(is_wrong, results)))


if __name__ == "__main__":
    sys.exit(main())
