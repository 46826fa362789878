"""A RabbitMQ of the tests, as `Tests/TestSupport/Broker.swift` starts it.

It is on loopback, with separate folders, ports, cookie and port mapper, and is ended by the pids
of its processes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

from clusters import wait_for

SCRIPT = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Broker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        for name in ("home", "mnesia", "log"):
            (folder / name).mkdir(parents=True)
        cookie = folder / "home" / ".erlang.cookie"
        cookie.write_text(os.urandom(16).hex())
        cookie.chmod(0o400)
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = false\n"
        )
        (folder / "enabled_plugins").write_text("[].")
        mapper = str(free_port())
        self._mapper = subprocess.Popen(["epmd", "-port", mapper, "-address", "127.0.0.1"])
        environment = {
            **os.environ,
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": f"tl{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": mapper,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        }
        self._server = subprocess.Popen(
            [SCRIPT], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(self._is_listening, "broker", 90)
        except BaseException:
            self.end()
            raise

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    def _is_listening(self) -> bool:
        assert self._server.poll() is None, f"RabbitMQ does not start; see {self.folder}/log"
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)
        # Its child processes end with it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(30)
        self._server.kill()
        self._mapper.kill()
        self._mapper.wait()
