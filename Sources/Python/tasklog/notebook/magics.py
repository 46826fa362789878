"""The magic ``%%tasklog`` of IPython."""

from __future__ import annotations

import argparse
import ast
import shlex
from typing import Any

_USAGE = "%%tasklog [--log PATH] [--label NAME=VALUE]... [--height PIXELS] [--no-report]"


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        from IPython.core.error import UsageError

        raise UsageError(f"{message}; {_USAGE}")


def _parser() -> _Arguments:
    parser = _Arguments(prog="%%tasklog", add_help=False, allow_abbrev=False)
    parser.add_argument("--log", default="tasklog.db")
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--height", type=int, default=None)
    parser.add_argument("--no-report", action="store_true")
    return parser


def record_cell(shell: Any, line: str, cell: str) -> None:
    """Records the cluster of the current client while a cell runs, and shows the report page.

    ``%%tasklog [--log PATH] [--label NAME=VALUE]... [--height PIXELS] [--no-report]``

    The log is ``tasklog.db`` by default. An error in the cell is raised after the recording has
    ended; the log has what led to it. ``tasklog_run`` is the run, to read on.
    """
    from IPython.core.error import UsageError

    from tasklog.recording import record

    given = _parser().parse_args(shlex.split(line))
    labels = {}
    for label in given.label:
        name, mark, value = label.partition("=")
        if not mark:
            raise UsageError(f"--label {label}: expected NAME=VALUE; {_USAGE}")
        labels[name] = value
    with record(given.log, labels=labels or None) as recording:
        shell.user_ns["tasklog_run"] = recording
        _execute(shell, cell)
    if not given.no_report:
        options = {} if given.height is None else {"height": given.height}
        recording.show(**options)


def _execute(shell: Any, cell: str) -> None:
    """Runs code as a cell, with the value of its last expression as the result; raises its
    errors."""
    source = shell.transform_cell(cell)
    name = shell.compile.cache(source, shell.execution_count, raw_code=cell)
    tree = shell.transform_ast(shell.compile.ast_parse(source, filename=name))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(shell.compile(tree, name, "exec"), shell.user_ns)
    if last is not None:
        value = eval(shell.compile(ast.Expression(last.value), name, "eval"), shell.user_ns)
        # As the shell does it: a semicolon at the end hides the value.
        if not cell.rstrip().endswith(";"):
            shell.displayhook(value)


def register(shell: Any) -> None:
    """Adds the magic to a shell."""

    def tasklog(line: str, cell: str) -> None:
        record_cell(shell, line, cell)

    tasklog.__doc__ = record_cell.__doc__
    shell.register_magic_function(tasklog, magic_kind="cell", magic_name="tasklog")
