"""Runs a command with its standard error on a terminal, and prints what it wrote there.

Usage: on_terminal.py terminal|pipe|interrupt PROGRAM ARGUMENT...

`pipe` is for comparison: then the standard error is a pipe. With `interrupt`, Ctrl-C is pressed as
soon as there is an unfinished file in the working folder, which has no name. Prints a line of JSON.
"""

import fcntl
import glob
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time


def read_all(descriptor: int, into: list[bytes]) -> None:
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # how the end of a terminal is reported
            return
        if not piece:
            return
        into.append(piece)


mode, *command = sys.argv[1:]
ours, theirs = os.pipe() if mode == "pipe" else pty.openpty()


def has_nameless_file(pid: int) -> bool:
    """Whether a process writes a file of the working folder that has no name."""
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith(os.path.realpath(".") + "/") and target.endswith(" (deleted)"):
            return True
    return False


def at_the_terminal() -> None:
    """Gives the child the signals of a command typed at a terminal."""
    # The parent may have inherited it ignored or blocked.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if mode != "pipe":
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)


process = subprocess.Popen(
    command,
    stdin=subprocess.DEVNULL if mode == "pipe" else theirs,
    stdout=subprocess.PIPE,
    stderr=theirs,
    start_new_session=True,
    preexec_fn=at_the_terminal,
)
os.close(theirs)
pieces: list[bytes] = []
reader = threading.Thread(target=read_all, args=(ours, pieces))
reader.start()
unfinished = False
deadline = time.monotonic() + 120
while mode == "interrupt" and process.poll() is None and time.monotonic() < deadline:
    if glob.glob("*.part") or has_nameless_file(process.pid):
        unfinished = True
        os.write(ours, b"\x03")
        break
output, _ = process.communicate(timeout=120)
reader.join()
print(
    json.dumps(
        {
            "code": process.returncode,
            "output": output.decode(),
            "errors": b"".join(pieces).decode(),
            "unfinished": unfinished,
        }
    )
)
