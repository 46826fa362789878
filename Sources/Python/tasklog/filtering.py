"""The filter of a worker's events, as `Recorder.Filter` of the Swift side is at the scheduler.

An event is admitted by the patterns of its hook, its key and its source.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from typing import Any

#: The options that make up a filter.
NAMES = tuple(
    f"{kind}_{what}" for what in ("hooks", "keys", "sources") for kind in ("include", "exclude")
)
#: Marks that a recording cannot do without.
_ALWAYS = {"attach", "detach", "report", "excluded"}


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_ITEM = re.compile(r"(.)-(.)|(.)", re.DOTALL)


class Patterns:
    """Patterns of names, which match as those of `Glob` of the Swift side.

    ``*`` is any characters, ``?`` one, ``[ab0-9]`` one of a set and ``[^ab]`` or ``[!ab]`` one that
    is not in it. A ``[`` without an end is itself, and a name that equals a pattern matches it.
    """

    def __init__(self, patterns: Iterable[str], ignores_case: bool = False) -> None:
        self._ignores_case = ignores_case
        parts = []
        for pattern in patterns:
            folded = self._fold(pattern)
            parts += [f"(?:{re.escape(folded)})", f"(?:{_expression(folded)})"]
        self._match = re.compile("|".join(parts), re.DOTALL).fullmatch
        self.is_empty = not parts

    def matches(self, name: str) -> bool:
        return not self.is_empty and self._match(self._fold(name)) is not None

    def _fold(self, name: str) -> str:
        return name.translate(_LOWER) if self._ignores_case else name


def _expression(pattern: str) -> str:
    """The regular expression of a pattern."""
    parts, place = [], 0
    while place < len(pattern):
        character = pattern[place]
        is_negated = pattern[place + 1 : place + 2] in ("^", "!")
        first = place + 1 + is_negated
        end = pattern.find("]", first + 1) if character == "[" else -1
        if end < 0:
            parts.append({"*": ".*", "?": "."}.get(character) or re.escape(character))
            place += 1
        else:
            parts.append(_one_of(pattern[first:end], is_negated))
            place = end + 1
    return "".join(parts)


def _one_of(content: str, is_negated: bool) -> str:
    ranges = [(item[1] or item[3], item[2] or item[3]) for item in _ITEM.finditer(content)]
    items = [f"{re.escape(a)}-{re.escape(b)}" for a, b in ranges if a <= b]
    if not items:
        return "." if is_negated else "(?!)"
    return f"[{'^' if is_negated else ''}{''.join(items)}]"


def hook_patterns(patterns: Iterable[str]) -> Patterns:
    """Patterns for hooks, which match Dask's spelling and that of the log."""
    return Patterns([pattern.replace("_", "") for pattern in patterns], ignores_case=True)


class Filter:
    """Decides which events of one worker are recorded."""

    def __init__(self, rules: dict[str, Any], names: Iterable[str]) -> None:
        sources = [Patterns(rules[name]) for name in ("include_sources", "exclude_sources")]
        names = list(names)
        include, exclude = (any(p.matches(name) for name in names) for p in sources)
        self._is_in = (include or sources[0].is_empty) and not exclude
        self._hooks = hook_patterns(rules["include_hooks"]), hook_patterns(rules["exclude_hooks"])
        self._keys = Patterns(rules["include_keys"]), Patterns(rules["exclude_keys"])
        self._has_keys = not all(patterns.is_empty for patterns in self._keys)
        self._known: dict[str, bool] = {}

    @classmethod
    def of(cls, rules: dict[str, Any], names: Iterable[str]) -> Filter | None:
        """The filter of these rules; None if they admit everything."""
        return cls(rules, names) if any(rules.values()) else None

    def admits(self, hook: str, key: Any) -> bool:
        admits = self._known.get(hook)
        if admits is None:
            admits = hook in _ALWAYS or (self._is_in and _lets(self._hooks, hook))
            self._known[hook] = admits
        if not admits or key is None or not self._has_keys or hook in _ALWAYS:
            return admits
        return _lets(self._keys, key if type(key) is str else str(key))


def _lets(patterns: tuple[Patterns, Patterns], name: str) -> bool:
    include, exclude = patterns
    return (include.is_empty or include.matches(name)) and not exclude.matches(name)
