"""What a plugin's hooks make use of: what they cannot see need not be rebuilt or decoded.

A hook that never loads one of its parameters cannot depend on it. That is read off the compiled
function, as the class has it; where it cannot be told, everything is needed.
"""

from __future__ import annotations

import dis
import inspect
from types import FunctionType, MethodType
from typing import Any

#: The hooks that are given a scheduler or a worker.
SCHEDULER_HOOKS = {
    "start", "restart", "update_graph", "add_worker", "remove_worker", "add_client",
    "remove_client", "valid_workers_downscaling",
}  # fmt: skip
WORKER_HOOKS = {"setup", "teardown"}
#: The fixed parameters of `transition`.
_FIXED = {"self", "key", "start", "finish", "stimulus_id"}


def function_of(made_from: Any, hook: str) -> Any:
    """The function that a hook is, without Dask's base classes, whose hooks do nothing."""
    kind = made_from if isinstance(made_from, type) else type(made_from)
    if not isinstance(made_from, type) and hook in getattr(made_from, "__dict__", {}):
        return made_from.__dict__[hook]
    for base in kind.__mro__:
        if hook in base.__dict__:
            is_base = base.__module__ == "distributed.diagnostics.plugin" and base.__name__ in (
                "SchedulerPlugin",
                "WorkerPlugin",
            )
            return None if is_base else base.__dict__[hook]
    return None


def _code(function: Any) -> Any:
    function = getattr(function, "__func__", function)
    if isinstance(function, (FunctionType, MethodType)) and not hasattr(function, "__wrapped__"):
        return function.__code__
    return None


def _loads(code: Any, name: str) -> bool:
    """Whether a function reads one of its parameters, itself or in a function within it."""
    if name in code.co_cellvars:
        return True
    for instruction in dis.get_instructions(code):
        named = instruction.argval
        names = named if isinstance(named, tuple) else (named,)
        if name in names and not instruction.opname.startswith(("STORE_FAST", "DELETE_FAST")):
            return True
        # `locals()`, `vars()`, `eval()`, `super()` without arguments looks at `self` alone.
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and {
            "locals",
            "vars",
            "eval",
            "exec",
        }.intersection(names):
            return True
    return False


def needs_state(kind: Any) -> bool:
    """Whether instances of a class can look at a scheduler or a worker."""
    if not isinstance(kind, type):
        return True
    if "scheduler" in constructor_parameters(kind):
        return True
    for hook in SCHEDULER_HOOKS | WORKER_HOOKS:
        function = function_of(kind, hook)
        if function is None:
            continue
        code = _code(function)
        if code is None or _uses_given(code, "worker" if hook in WORKER_HOOKS else "scheduler"):
            return True
    return False


def _uses_given(code: Any, expected: str) -> bool:
    """Whether a hook looks at the scheduler or worker that it is given."""
    flags = code.co_flags
    count = code.co_argcount + code.co_kwonlyargcount
    fixed = code.co_varnames[:count]
    variable = list(code.co_varnames[count:])
    given = expected if expected in fixed else (fixed[1] if code.co_argcount > 1 else None)
    suspects = [given] if given is not None else []
    if flags & inspect.CO_VARARGS:
        suspects.append(variable.pop(0))
    if flags & inspect.CO_VARKEYWORDS:
        suspects.append(variable.pop(0))
    return any(_loads(code, name) for name in suspects)


def needs_arguments(plugin: Any) -> bool:
    """Whether `transition` looks at more than its fixed parameters."""
    function = function_of(plugin, "transition")
    if function is None:
        return False
    code = _code(function)
    if code is None:
        return True
    count = code.co_argcount + code.co_kwonlyargcount
    if not _FIXED.issuperset(code.co_varnames[:count]) or code.co_argcount < 4:
        return True
    variable = list(code.co_varnames[count:])
    suspects = []
    if code.co_flags & inspect.CO_VARARGS:
        suspects.append(variable.pop(0))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        suspects.append(variable.pop(0))
        if "stimulus_id" not in code.co_varnames[:count]:
            # The fixed `stimulus_id` lands in there, too, and costs nothing.
            pass
    else:
        # Without `**kwargs` the call fails as it did live when there is one too many.
        return True
    return any(_loads(code, name) for name in suspects)


def constructor_parameters(kind: Any) -> dict[str, inspect.Parameter]:
    """What a class, or a function that makes plugins, is called with."""
    try:
        return dict(inspect.signature(kind).parameters)
    except (TypeError, ValueError):
        return {}
