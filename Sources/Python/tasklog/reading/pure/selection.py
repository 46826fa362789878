"""Selects runs by an expression: ``label.pipeline=etl and started>-7d and not died last 20``.

It is that of the option ``--runs`` of the command, see ``RunExpression`` of the Swift side.
"""

from __future__ import annotations

import datetime
import functools
import math
import operator
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasklog.elsewhere import sentence
from tasklog.filtering import Patterns
from tasklog.reading.errors import LogError
from tasklog.reading.pure.entries import Entry

_Condition = Callable[[Entry], bool]

_ENDS = ("died", "closed", "running")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    # The longer ones first.
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt,
    ">": operator.gt,
}  # fmt: skip
_FIELDS: dict[str, tuple[str, Callable[[Entry], Any]]] = {
    "id": ("text", lambda run: [run.info.id]),
    "engine": ("text", lambda run: [run.info.engine]),
    "end": ("text", lambda run: [run.info.end]),
    "started": ("time", lambda run: run.info.started_ns),
    "ended": ("time", lambda run: None if run.info.end == "running" else run.info.ended_ns),
    "duration": ("duration", lambda run: None if run.info.end == "running" else run.info.duration),
    "user": ("text", lambda run: _known(run.info.user)),
    "host": ("text", lambda run: _known(run.info.host)),
    "place": ("text", lambda run: run.places),
    "git": ("text", lambda run: _known(run.info.git_revision)),
    "prefix": ("text", lambda run: run.prefixes),
    "label.NAME": ("text", lambda run: []),
    "job": ("text", lambda run: []),
    "client": ("text", lambda run: []),
    "span": ("text", lambda run: []),
    "events": ("number", lambda run: run.info.events),
    "tasks": ("number", lambda run: run.info.tasks),
    "failed": ("number", lambda run: run.info.failed),
    "workers": ("number", lambda run: run.info.workers),
    "missing": ("number", lambda run: run.info.missing),
    "incomplete": ("number", lambda run: 0),
}
#: So many conditions may be in parentheses or negated within each other.
_DEEPEST = 100
_TOKEN = re.compile(r"([()])|(['\"])|(!=|<=|>=|=|<|>)|([^\s()'\"=<>!]+)")
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.A | re.I)
_HEXADECIMAL = re.compile(r"[+-]?0x[0-9a-f]+(?:\.[0-9a-f]*)?(?:p[+-]?\d+)?", re.A | re.I)
_TIMES = {
    "": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0,
    "w": 604_800.0,
}  # fmt: skip
_ABSOLUTE = re.compile(
    r"(\d+)-(\d+)-(\d+)(?:[T ](\d+):(\d+)(?::(\d+)(?:\.(\d{1,9}))?)?)?"
    r"(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)


def _known(text: str | None) -> list[str]:
    return [] if text is None else [text]


def select(runs: list[Entry], expression: str) -> list[Entry]:
    """The runs of which an expression is true; they are given the oldest first.

    Raises
    ------
    LogError
    """
    condition, first, last = _Parser(expression).parse()
    matching = [run for run in runs if condition(run)]
    if first is not None:
        return matching[:first]
    return matching if last is None else matching[-last:]


@dataclass(frozen=True)
class _Token:
    #: ``word``, ``quoted``, ``sign`` or a parenthesis.
    kind: str
    text: str


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0
        self._now = time.time_ns()

    def _error(self, reason: str) -> LogError:
        return LogError(
            f"tasklog runs: --runs '{self._text}': {reason}; write such as "
            "'label.pipeline=etl and started>-7d and not died'"
        )

    def parse(self) -> tuple[_Condition, int | None, int | None]:
        """The condition, and how many of the first or last runs count."""
        condition: _Condition = _all(())
        if self._peek() is not None and self._limit() is None:
            condition = self._either()
        counts: dict[str, int] = {}
        limit = self._limit()
        if limit is not None:
            self._next()
            number = self._next()
            is_number = number is not None and re.fullmatch(r"\+?\d+", number.text, re.ASCII)
            if number is None or number.kind != "word" or not is_number or not int(number.text):
                raise self._error(f"expected a number after '{limit}'")
            counts[limit] = int(number.text)
        token = self._next()
        if token is not None:
            raise self._error(f"unexpected '{token.text}'")
        return condition, counts.get("first"), counts.get("last")

    def _limit(self) -> str | None:
        token = self._peek()
        is_limit = token is not None and token.kind == "word" and token.text in ("first", "last")
        return token.text if token is not None and is_limit else None

    def _either(self) -> _Condition:
        conditions = [self._both()]
        while self._takes("or"):
            conditions.append(self._both())
        return lambda run: any(condition(run) for condition in conditions)

    def _both(self) -> _Condition:
        conditions = [self._one()]
        while self._takes("and"):
            conditions.append(self._one())
        return _all(tuple(conditions))

    def _one(self) -> _Condition:
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                raise self._error("nested too deeply")
            if self._takes("not"):
                negated = self._one()
                return lambda run: not negated(run)
            token = self._next()
            if token is None:
                raise self._error("a condition is missing at its end")
            if token.kind == "(":
                condition = self._either()
                closing = self._next()
                if closing is None or closing.kind != ")":
                    raise self._error("expected ')'")
                return condition
            if token.kind != "word":
                raise self._error(f"unexpected '{token.text}'")
            return self._test(token.text)
        finally:
            self._depth -= 1

    # Comparisons

    def _test(self, name: str) -> _Condition:
        if name in _ENDS:
            return lambda run: bool(run.info.end == name)
        if name in ("incomplete", "job", "client", "span"):
            raise LogError(sentence(f"'{name}' of a run"))
        if name.startswith("label.") and len(name) > 6:
            label = name[6:]
            kind, get = "text", lambda run: _known(run.info_labels.get(label))
        elif name in _FIELDS and name != "label.NAME":
            kind, get = _FIELDS[name]
        else:
            raise self._error(
                f"'{name}' is nothing that is known of a run; expected died, closed, running, or "
                f"one of {', '.join(_FIELDS)}"
            )
        sign = self._peek()
        if sign is None or sign.kind != "sign":
            if kind in ("text", "number"):
                return lambda run: bool(get(run))
            return lambda run: get(run) is not None
        self._next()
        value = self._next()
        if value is None or value.kind not in ("word", "quoted"):
            raise self._error(f"expected a value after '{name}{sign.text}'")
        if kind == "text":
            return self._compare_text(name, get, sign.text, value.text)
        return self._compare(name, kind, get, sign.text, value.text)

    def _compare(
        self, name: str, kind: str, get: Callable[[Entry], Any], sign: str, text: str
    ) -> _Condition:
        value: Any
        if kind == "number":
            value, expected = _number(text), "a number"
        elif kind == "duration":
            value, expected = _seconds(text), "a duration such as 90s, 5m or 2h"
        else:
            value = _time(text, self._now, is_end=sign in ("<=", ">"))
            expected = "a time such as 2026-01-31T12:00, 2026-01-31 or -7d"
        if value is None:
            raise self._error(f"{name} is {expected}, not '{text}'")
        compares = _COMPARISONS[sign]

        def condition(run: Entry) -> bool:
            own = get(run)
            return own is not None and compares(own, value)

        return condition

    def _compare_text(
        self, name: str, get: Callable[[Entry], list[str]], sign: str, text: str
    ) -> _Condition:
        """Texts are equal to one of a pattern; they are ordered as numbers, if both are."""
        if sign in ("=", "!="):
            patterns = Patterns([text])
            return lambda run: any(map(patterns.matches, get(run))) == (sign == "=")
        number = _number(text)
        if number is None:
            raise self._error(f"{name} is a text: compare it with = or !=, or with a number")
        compares = _COMPARISONS[sign]

        def condition(run: Entry) -> bool:
            numbers = (_number(each) for each in get(run))
            return any(own is not None and compares(own, number) for own in numbers)

        return condition

    # Tokens

    def _takes(self, word: str) -> bool:
        if self._peek() != _Token("word", word):
            return False
        self._next()
        return True

    def _peek(self) -> _Token | None:
        before = self._place
        token = self._next()
        self._place = before
        return token

    def _next(self) -> _Token | None:
        rest = self._text[self._place :].lstrip()
        if not rest:
            return None
        start = len(self._text) - len(rest)
        found = _TOKEN.match(rest)
        if found is None:
            raise self._error(f"unexpected '{rest[0]}'")
        self._place = start + found.end()
        parenthesis, quote, sign, word = found.groups()
        if quote:
            end = self._text.find(quote, self._place)
            if end < 0:
                raise self._error("a quote has no end")
            text = self._text[self._place : end]
            self._place = end + 1
            return _Token("quoted", text)
        if parenthesis:
            return _Token(parenthesis, parenthesis)
        return _Token("sign", sign) if sign else _Token("word", word)


def _all(conditions: tuple[_Condition, ...]) -> _Condition:
    return lambda run: all(condition(run) for condition in conditions)


@functools.lru_cache(maxsize=256)
def _number(text: str) -> float | None:
    if _HEXADECIMAL.fullmatch(text):
        return float.fromhex(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def _seconds(text: str) -> float | None:
    """Seconds of ``500ms``, ``1.5 h``, ``7d``, and plain seconds."""
    digits = re.match(r"[0-9.]*", text)
    number = digits[0] if digits else ""
    factor = _TIMES.get(text[len(number) :].replace(" ", "").lower())
    count = _number(number)
    return None if count is None or factor is None else count * factor


def _time(text: str, now: int, *, is_end: bool) -> int | None:
    """Nanoseconds of a time, or of one before now; see ``FilterParsing.time``."""
    relative = re.fullmatch(r"-(.+)([smhd])", text, re.S)
    if relative:
        count = _number(relative[1])
        if count is not None and 0 <= count < 1e6:
            return now - int(count * _TIMES[relative[2]] * 1e9)
    found = _ABSOLUTE.fullmatch(text)
    if found is None or (found[8] not in (None, "Z") and found[4] is None):
        return None
    year, month, day = (int(found[index]) for index in (1, 2, 3))
    if not 1970 <= year <= 2200:
        return None
    try:
        days = datetime.date(year, month, day).toordinal() - 719_163
    except ValueError:
        return None
    hour, minute, second = (int(found[index] or 0) for index in (4, 5, 6))
    if hour > 23 or minute > 59 or second > 60:
        return None
    digits = found[7] or ""
    unit = 10 ** (9 - len(digits))
    fraction = (int(digits) * unit + (unit - 1 if is_end else 0)) if digits else 0
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - _offset(found[8] or "Z")
    return None if math.isnan(seconds) else seconds * 1_000_000_000 + fraction


def _offset(text: str) -> int:
    """Seconds of ``+01:30``."""
    if text == "Z":
        return 0
    seconds = int(text[1:3]) * 3600 + int(text[4:6]) * 60
    return -seconds if text[0] == "-" else seconds
