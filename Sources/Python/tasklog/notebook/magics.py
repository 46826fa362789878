"""The magic ``%%tasklog`` of IPython."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from types import CodeType
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
    from tasklog.recording import record

    given, labels = _options(line)
    with record(given.log, labels=labels) as recording:
        shell.user_ns["tasklog_run"] = recording
        for code in _compiled(shell, cell):
            value = eval(code, shell.user_ns)
            _show(shell, cell, value)
    _show_report(recording, given)


async def record_cell_async(shell: Any, line: str, cell: str) -> None:
    """The same for a cell with an ``await`` outside of all functions."""
    from tasklog.recording import record

    given, labels = _options(line)
    async with record(given.log, labels=labels) as recording:
        shell.user_ns["tasklog_run"] = recording
        for code in _compiled(shell, cell):
            value = eval(code, shell.user_ns)
            if code.co_flags & inspect.CO_COROUTINE:
                value = await value
            _show(shell, cell, value)
    _show_report(recording, given)


def _options(line: str) -> tuple[argparse.Namespace, dict[str, str] | None]:
    from IPython.core.error import UsageError

    given = _parser().parse_args(shlex.split(line))
    labels = {}
    for label in given.label:
        name, mark, value = label.partition("=")
        if not mark:
            raise UsageError(f"--label {label}: expected NAME=VALUE; {_USAGE}")
        labels[name] = value
    return given, labels or None


def _show_report(recording: Any, given: argparse.Namespace) -> None:
    if not given.no_report:
        options = {} if given.height is None else {"height": given.height}
        recording.show(**options)


def _compiled(shell: Any, cell: str) -> Iterator[CodeType]:
    """A cell as the shell compiles it, and its last expression apart from the rest."""
    source = shell.transform_cell(cell)
    name = shell.compile.cache(source, shell.execution_count, raw_code=cell)
    flags = shell.compile.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = shell.transform_ast(compile(source, name, "exec", flags | ast.PyCF_ONLY_AST, True))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    yield compile(tree, name, "exec", flags, True)
    if last is not None:
        yield compile(ast.Expression(last.value), name, "eval", flags, True)


def _show(shell: Any, cell: str, value: Any) -> None:
    """Shows the value of an expression as the shell does: a semicolon at the end hides it."""
    if value is not None and not cell.rstrip().endswith(";"):
        shell.displayhook(value)


def _awaits(shell: Any, cell: str) -> bool:
    """Whether a cell has to run as a coroutine."""
    try:
        codes = list(_compiled(shell, cell))
    except SyntaxError:
        # Reported when it is run.
        return False
    return any(code.co_flags & inspect.CO_COROUTINE for code in codes)


def _transform(shell: Any, lines: list[str]) -> list[str]:
    """Replaces a cell that awaits by one that the shell awaits: a magic is no coroutine."""
    head = lines[0] if lines else ""
    if not re.match(r"%%tasklog\b", head):
        return lines
    line, cell = head.removeprefix("%%tasklog").strip(), "".join(lines[1:])
    if not _awaits(shell, cell):
        return lines
    module = f"__import__({__name__!r}, fromlist=['record_cell_async'])"
    return [f"await {module}.record_cell_async(get_ipython(), {line!r}, {cell!r})\n"]


def register(shell: Any) -> None:
    """Adds the magic to a shell."""

    def tasklog(line: str, cell: str) -> None:
        record_cell(shell, line, cell)

    tasklog.__doc__ = record_cell.__doc__
    shell.register_magic_function(tasklog, magic_kind="cell", magic_name="tasklog")
    transformers = shell.input_transformers_cleanup
    # It may be loaded again.
    transformers[:] = [each for each in transformers if not isinstance(each, _Transformer)]
    transformers.append(_Transformer(shell))


class _Transformer:
    """Of the cells of a shell, before it looks for magics."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        return _transform(self._shell, lines)
