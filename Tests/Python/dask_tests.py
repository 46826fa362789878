"""The plugins inside Dask's own test files, each converted to a module.

They are defined in functions, and use variables of these: the scheduler as ``s``, and lists that
they fill. The text of the class is unchanged; the names that it uses are defined before it, and
after it a property that returns the content of the plugin and of these lists.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

KINDS = {"SchedulerPlugin": "scheduler", "WorkerPlugin": "worker"}

#: Not run, as they would end or block the cluster that all of them share.
LEFT_OUT = {
    "Dummy2": "raises in start: its scheduler never comes up",
    "BlockClose": "never lets its worker close",
    "BrokenSetupPlugin": "raises in setup: its worker refuses it",
    "InitWorkerNewThread": "starts a worker within a worker",
    "IdempotentPlugin": "raises in start when there is another: registered once or it is an error",
    "Bad": "raises in close, and what else it does is done by others",
}

AFTER = """

def _plain(value):
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, map(_plain, value)))
    return next(kind.__name__ for kind in type(value).__mro__ if "tasklog" not in kind.__module__)


def _held(self):
    around = {name: globals()[name] for name in AROUND}
    return _plain({"self": vars(self), "around": around})


_own_start = getattr(PLUGIN, "start", None)


async def _start(self, scheduler):
    # Some are started by their test, and so need not be awaited there.
    global s
    s = scheduler
    begun = _own_start(self, scheduler)
    if begun is not None:
        await begun


if _own_start is not None:
    PLUGIN.start = _start
PLUGIN.held = property(_held)
"""


@dataclass
class Found:
    path: Path
    name: str
    kind: str
    #: The arguments of its initializer in addition to a scheduler.
    arguments: list[str]


def write(source: Path, to: Path) -> list[Found]:
    """Makes a module of each plugin that defines a hook.

    source:
        A checkout of `distributed`.
    """
    found = []
    for file in sorted(source.glob("distributed/**/tests/test_*.py")):
        tree = ast.parse(file.read_text())
        imports = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
        for scope, node in _classes(tree, []):
            kinds = [KINDS[n.id] for n in node.bases if isinstance(n, ast.Name) and n.id in KINDS]
            hooks = [n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
            if not kinds or node.name in LEFT_OUT or not hooks:
                continue
            path = to / f"own_{len(found)}_{file.stem}.py"
            path.write_text(_module(imports, scope, node))
            found.append(Found(path, node.name, kinds[0], _arguments(hooks)))
    return found


def _classes(node: ast.AST, scope: list) -> list[tuple[list, ast.ClassDef]]:
    found: list[tuple[list, ast.ClassDef]] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            found.append((scope, child))
        inner = (
            [*scope, child] if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else scope
        )
        found.extend(_classes(child, inner))
    return found


def _module(imports: list, scope: list, node: ast.ClassDef) -> str:
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    around: dict[str, str] = {}
    for function in scope:
        for statement in function.body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                continue
            target = statement.targets[0]
            if isinstance(target, ast.Name) and target.id in used and _is_plain(statement.value):
                around[target.id] = ast.unparse(statement)
    lines = ["from __future__ import annotations"]
    for statement in imports:
        text = ast.unparse(statement)
        if "__future__" not in text:
            lines.append(f"try:\n    {text}\nexcept ImportError:\n    pass")
    # Local variables around it are global here.
    text = ast.unparse(node).replace("nonlocal ", "global ")
    lines += [*around.values(), text]
    after = AFTER.replace("AROUND", repr(sorted(around))).replace("PLUGIN", node.name)
    return "\n".join(lines) + after


def _is_plain(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def _arguments(hooks: list) -> list[str]:
    for hook in hooks:
        if hook.name == "__init__":
            names = [
                a.arg for a in hook.args.args[1 : len(hook.args.args) - len(hook.args.defaults)]
            ]
            return [name for name in names if name != "scheduler"]
    return []
