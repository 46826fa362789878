"""The SQL functions of a log's reader, as the native library has them."""

from __future__ import annotations

import functools
import re
import sqlite3
from typing import Any

from tasklog.elsewhere import sentence
from tasklog.filtering import Patterns


class MalformedError(Exception):
    """What is wrong with a regular expression."""


#: Characters by the names of POSIX: letters of all languages, all else of ASCII.
_CLASSES = {
    "alpha": r"[^\W\d_]", "digit": "[0-9]", "alnum": r"[^\W_]", "upper": "[A-Z]", "lower": "[a-z]",
    "space": r"[ \t-\r]", "blank": r"[ \t]", "punct": r"[!-/:-@\[-`{-~]", "print": "[ -~]",
    "graph": "[!-~]", "cntrl": r"[\x00-\x1f\x7f]", "xdigit": "[0-9A-Fa-f]",
}  # fmt: skip
#: What glibc knows beyond POSIX.
_ESCAPES = {
    "w": r"\w", "W": r"\W", "s": r"[ \t-\r]", "S": r"[^ \t-\r]", "b": r"\b",
    "B": r"\B", "<": r"\b(?=\w)", ">": r"\b(?<=\w)", "`": r"\A", "'": r"\Z",
}  # fmt: skip
_INTERVAL = re.compile(r"\{(\d*)(,?)(\d*)\}", re.ASCII)
#: The largest number of repetitions: RE_DUP_MAX.
_LARGEST = 32767


class _Translator:
    """Translates a POSIX extended regular expression to one of Python."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._depth = 0
        self._groups = 0
        self._closed: set[int] = set()

    def translate(self) -> str:
        return self._alternatives()

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _alternatives(self) -> str:
        parts = [self._branch()]
        while self._peek() == "|":
            self._place += 1
            parts.append(self._branch())
        return "|".join(parts)

    def _branch(self) -> str:
        parts: list[str] = []
        # A `)` that closes nothing is one.
        while self._peek() and self._peek() != "|" and not (self._peek() == ")" and self._depth):
            parts.append(self._repeated(self._atom()))
        return "".join(parts)

    def _repeated(self, atom: str) -> str:
        while (character := self._peek()) and character in "*+?{":
            if character == "{":
                interval = self._interval()
                if interval is None:
                    break
                atom = f"(?:{atom}){interval}"
            else:
                self._place += 1
                atom = f"(?:{atom}){character}"
        return atom

    def _interval(self) -> str | None:
        """An interval such as `{2,3}`; None for a brace that begins none."""
        match = _INTERVAL.match(self._pattern, self._place)
        if match is None or not (match[1] or match[2]):
            raise self._not_an_interval()
        first, last = int(match[1] or 0), int(match[3] or match[1] or 0)
        if first > _LARGEST or last > _LARGEST:
            raise MalformedError("Regular expression too big")
        if match[3] and match[2] and last < first:
            raise MalformedError("Invalid content of \\{\\}")
        self._place = match.end()
        if not match[2]:
            return f"{{{first}}}"
        return f"{{{first},{match[3]}}}"

    def _not_an_interval(self) -> MalformedError:
        """What glibc says of a brace that begins no interval."""
        rest = self._pattern[self._place + 1 :]
        if re.fullmatch(r"\d*,?\d*", rest, re.ASCII):
            return MalformedError("Unmatched \\{")
        return MalformedError("Invalid content of \\{\\}")

    def _atom(self) -> str:
        character = self._peek()
        self._place += 1
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()
        if character == "\\":
            return self._escape()
        if character == ".":
            # Not NUL, with which C ends a text.
            return "(?s:.)"
        if character == "^":
            if self._peek() and self._peek() in "*+?{":
                raise MalformedError("Invalid preceding regular expression")
            return r"\A"
        if character == "$":
            return r"\Z"
        if character in "*+?{":
            return self._leading(character)
        return re.escape(character)

    def _leading(self, character: str) -> str:
        raise MalformedError("Invalid preceding regular expression")

    def _group(self) -> str:
        self._groups += 1
        number = self._groups
        self._depth += 1
        inner = self._alternatives()
        if self._peek() != ")":
            raise MalformedError("Unmatched ( or \\(")
        self._place += 1
        self._depth -= 1
        self._closed.add(number)
        return f"({inner})"

    def _escape(self) -> str:
        character = self._peek()
        if not character:
            raise MalformedError("Trailing backslash")
        self._place += 1
        if character in "123456789":
            if int(character) not in self._closed:
                raise MalformedError("Invalid back reference")
            return f"(?:\\{character})"
        return _ESCAPES.get(character) or re.escape(character)

    def _set(self) -> str:
        is_negated = self._peek() == "^"
        self._place += is_negated
        first = self._place
        if not self._peek():
            raise MalformedError("Invalid regular expression")
        items: list[str] = []
        classes: list[str] = []
        while True:
            character = self._peek()
            if not character:
                raise MalformedError("Unmatched [, [^, [:, [., or [=")
            if character == "]" and self._place > first:
                self._place += 1
                break
            if character == "[" and self._pattern[self._place + 1 : self._place + 2] == ":":
                classes.append(self._class())
                continue
            start = self._item()
            if self._peek() == "-" and self._pattern[self._place + 1 : self._place + 2] != "]":
                self._place += 1
                if not self._peek():
                    raise MalformedError("Unmatched [, [^, [:, [., or [=")
                end = self._item()
                if end < start:
                    raise MalformedError("Invalid range end")
                items.append(f"{re.escape(start)}-{re.escape(end)}")
            else:
                items.append(re.escape(start))
        if not classes:
            return f"[{'^' if is_negated else ''}{''.join(items)}]"
        either = "|".join([*classes, *([f"[{''.join(items)}]"] if items else [])])
        return f"(?:(?!{either})(?s:.))" if is_negated else f"(?:{either})"

    def _class(self) -> str:
        end = self._pattern.find(":]", self._place + 2)
        if end < 0:
            raise MalformedError("Unmatched [, [^, [:, [., or [=")
        name = self._pattern[self._place + 2 : end]
        if name not in _CLASSES:
            raise MalformedError("Invalid character class name")
        self._place = end + 2
        return _CLASSES[name]

    def _item(self) -> str:
        """A character of a set, also as `[.x.]` or `[=x=]`."""
        character = self._peek()
        mark = self._pattern[self._place + 1 : self._place + 2]
        if character == "[" and mark in (".", "="):
            end = self._pattern.find(f"{mark}]", self._place + 2)
            if end < 0:
                raise MalformedError("Unmatched [, [^, [:, [., or [=")
            name = self._pattern[self._place + 2 : end]
            if len(name) != 1:
                raise MalformedError("Invalid collation character")
            self._place = end + 2
            return name
        self._place += 1
        return character


@functools.lru_cache(maxsize=256)
def expression(pattern: str) -> re.Pattern[str]:
    """A POSIX extended regular expression, as in ``grep -E``.

    Raises
    ------
    MalformedError
    """
    try:
        return re.compile(_Translator(pattern).translate())
    except re.error as error:
        raise MalformedError(str(error)) from None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class Functions:
    """Adds the functions to connections, and keeps what was wrong in one of them."""

    def __init__(self) -> None:
        self.problem: str | None = None

    def add(self, connection: sqlite3.Connection) -> None:
        for name, function in (
            ("regexp", self._regexp), ("tasklog_matches", self._matches),
            ("tasklog_args", self._args),
        ):  # fmt: skip
            connection.create_function(name, 2, function, deterministic=True)

    def _regexp(self, pattern: Any, text: Any) -> int | None:
        pattern, text = _text(pattern), _text(text)
        if pattern is None or text is None:
            return None
        try:
            # C ends a text with a NUL.
            found = expression(pattern.partition("\0")[0]).search(text.partition("\0")[0])
        except MalformedError as error:
            self.problem = f"REGEXP: {error}"
            raise
        return 1 if found else 0

    def _matches(self, pattern: Any, name: Any) -> int | None:
        pattern, name = _text(pattern), _text(name)
        if pattern is None or name is None:
            return None
        return 1 if _patterns(pattern.partition("\0")[0]).matches(name) else 0

    def _args(self, args: Any, time: Any) -> Any:
        # An object is passed on unchanged; text in its place is packed.
        if isinstance(args, str) and args.startswith('"'):
            self.problem = sentence("tasklog_args() of a heartbeat that the log has packed")
            raise ValueError(self.problem)
        return args


@functools.lru_cache(maxsize=256)
def _patterns(pattern: str) -> Patterns:
    return Patterns([pattern])
