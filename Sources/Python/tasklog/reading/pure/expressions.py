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


#: What sets in brackets are named, of ASCII.
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_SETS = {"d": "digit", "s": "space", "w": "word"}
_ASSERTIONS = {
    "b": r"(?a:\b)", "B": r"(?:(?a:(?<=\w)(?=\w))|(?a:(?<!\w)(?!\w)))", "<": r"(?a:\b(?=\w))",
    ">": r"(?a:\b(?<=\w))", "A": r"\A", "z": r"\Z", "Z": r"\Z",
}  # fmt: skip
_CONTROLS = {
    "0": "\0", "a": "\a", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip
_INTERVAL = re.compile(r"\{(?:(\d+)(?:(,)(\d*))?|(,)(\d+))\}", re.ASCII)
_NOTHING = "there is nothing before a quantifier"
_OPEN_GROUP = "a ( is not closed; write \\( for a parenthesis"
_OPEN_SET = "a [ is not closed; write \\[ for a bracket"
_DEEPEST = 100
_LONGEST = 10_000
_REPETITIONS = 1000


class _Translator:
    """Translates a regular expression of the native library to one of Python."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._depth = 0
        self._flags: frozenset[str] = frozenset()

    def translate(self) -> str:
        if len(self._pattern) > _LONGEST:
            raise MalformedError(f"it has {len(self._pattern)} characters, of at most {_LONGEST}")
        expression = self._alternatives()
        if self._peek():
            raise MalformedError("a ) closes no group; write \\)")
        return expression

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._place):
            return False
        self._place += len(text)
        return True

    def _alternatives(self) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise MalformedError(f"groups are nested deeper than {_DEEPEST}")
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        self._depth -= 1
        return "|".join(parts)

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._peek() and self._peek() not in "|)":
            parts.append(self._repeated())
        return "".join(parts)

    def _repeated(self) -> str:
        if self._quantifier() is not None:
            raise MalformedError(_NOTHING)
        start = self._place
        atom = self._atom()
        quantifier = self._quantifier()
        if quantifier is None:
            return atom
        if not self._take("?") and self._peek() == "+":
            raise MalformedError("possessive quantifiers, as a*+, are not supported")
        if self._quantifier() is not None:
            raise MalformedError(
                "a quantifier follows another one; put what is repeated in a group"
            )
        first, second = self._pattern[start], self._pattern[start + 1 : start + 2]
        if first in "^$" or (first == "\\" and second in _ASSERTIONS):
            raise MalformedError(_NOTHING)
        return f"(?:{atom}){quantifier}"

    def _quantifier(self) -> str | None:
        character = self._peek()
        if character and character in "*+?":
            self._place += 1
            return character
        match = _INTERVAL.match(self._pattern, self._place)
        if match is None:
            return None
        self._place = match.end()
        first = int(match[1] or 0)
        last = int(match[3] or match[5] or 0)
        if max(first, last) > _REPETITIONS:
            raise MalformedError(f"more than {_REPETITIONS} repetitions; repeat a group of them")
        if not (match[2] or match[4]):
            return f"{{{first}}}"
        if match[3] == "":
            return f"{{{first},}}"
        if last < first:
            raise MalformedError(f"{{{first},{last}}} has its larger number first")
        return f"{{{first},{last}}}"

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
            return "(?s:.)"
        if character == "^":
            return "(?m:^)" if "m" in self._flags else r"\A"
        if character == "$":
            return "(?m:$)" if "m" in self._flags else r"\Z"
        return self._cased(re.escape(character))

    def _cased(self, expression: str) -> str:
        return f"(?i:{expression})" if "i" in self._flags else expression

    def _group(self) -> str:
        outer = self._flags
        if self._take("?"):
            if any(self._take(text) for text in ("=", "!", "<=", "<!")):
                raise MalformedError("look-around, as (?=a), is not supported")
            if self._take(">"):
                raise MalformedError("atomic groups, as (?>a), are not supported")
            if self._take("P<") or self._take("<"):
                name = re.compile(r"\w+>", re.ASCII).match(self._pattern, self._place)
                if name is None:
                    raise MalformedError("the name of a group is not one")
                self._place = name.end()
            elif not self._take(":") and self._take_flags() == ")":
                return "(?:)"
        inner = self._alternatives()
        if not self._take(")"):
            raise MalformedError(_OPEN_GROUP)
        self._flags = outer
        return f"(?:{inner})"

    def _take_flags(self) -> str:
        is_on = True
        while flag := self._peek():
            self._place += 1
            if flag in "im":
                self._flags = self._flags | {flag} if is_on else self._flags - {flag}
            elif flag == "-" and is_on:
                is_on = False
            elif flag in "):":
                return flag
            elif flag != "s" or not is_on:
                raise MalformedError(f"(?{flag} is unknown; flags are i and m")
        raise MalformedError(_OPEN_GROUP)

    # Escapes

    def _escape(self) -> str:
        letter = self._peek()
        if letter and letter in _ASSERTIONS:
            self._place += 1
            return _ASSERTIONS[letter]
        if letter and letter.lower() in _SETS:
            self._place += 1
            return self._cased(f"[{self._named(letter)}]")
        return self._cased(re.escape(self._escaped()))

    def _named(self, letter: str) -> str:
        """`d` or `D`, as what stands in brackets."""
        ranges = _CLASSES[_SETS[letter.lower()]]
        return ranges if letter.islower() else _inverted(ranges)

    def _escaped(self) -> str:
        letter = self._peek()
        if not letter:
            raise MalformedError("a backslash ends it; write \\\\ for one")
        self._place += 1
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "123456789k":
            raise MalformedError(f"back-references, as \\{letter}, are not supported")
        if letter in "xu":
            return self._hexadecimal(2 if letter == "x" else 4)
        if letter in "pP":
            raise MalformedError(f"properties of characters, as \\{letter}{{L}}, are not supported")
        if letter.isascii() and letter.isalpha():
            raise MalformedError(f"the escape \\{letter} is unknown; write {letter} for the letter")
        return letter

    def _hexadecimal(self, digits: int) -> str:
        forms = rf"\{{([0-9A-Fa-f]{{1,6}})\}}|([0-9A-Fa-f]{{{digits}}})"
        match = re.compile(forms).match(self._pattern, self._place)
        value = int(match[1] or match[2], 16) if match else -1
        if match is None or value > 0x10FFFF or 0xD800 <= value < 0xE000:
            raise MalformedError("the number of a character is not one; write \\x41 or \\x{1F600}")
        self._place = match.end()
        return chr(value)

    # Sets in brackets

    def _set(self) -> str:
        is_negated = self._take("^")
        first = self._place
        items: list[str] = []
        while self._peek() != "]" or self._place == first:
            if not self._peek():
                raise MalformedError(_OPEN_SET)
            items.append(self._item())
        self._place += 1
        return self._cased(f"[{'^' if is_negated else ''}{''.join(items)}]")

    def _item(self) -> str:
        if self._take("[:"):
            return self._class()
        if self._pattern.startswith(("[.", "[="), self._place):
            raise MalformedError("[. and [= in a set are not supported; write \\[ for a bracket")
        if self._peek() == "\\":
            letter = self._pattern[self._place + 1 : self._place + 2]
            if letter and letter.lower() in _SETS:
                self._place += 2
                return self._named(letter)
        start = self._member()
        after = self._pattern[self._place + 1 : self._place + 2]
        if self._peek() != "-" or not after or after == "]":
            return re.escape(start)
        self._place += 1
        end = self._member()
        if end < start:
            raise MalformedError(f"the range {start}-{end} has its larger end first")
        return f"{re.escape(start)}-{re.escape(end)}"

    def _member(self) -> str:
        character = self._peek()
        if not character:
            raise MalformedError(_OPEN_SET)
        letter = self._pattern[self._place + 1 : self._place + 2]
        if character == "\\" and letter and letter.lower() in _SETS:
            raise MalformedError(f"a range in a set ends with \\{letter}")
        self._place += 1
        if character != "\\":
            return character
        return "\b" if self._take("b") else self._escaped()

    def _class(self) -> str:
        is_negated = self._take("^")
        match = re.compile(r"\w*", re.ASCII).match(self._pattern, self._place)
        name = match[0] if match else ""
        self._place += len(name)
        if not self._take(":]") or name not in _CLASSES:
            raise MalformedError(f"[:{name} is no set; sets are {', '.join(_CLASSES)}")
        return _inverted(_CLASSES[name]) if is_negated else _CLASSES[name]


@functools.lru_cache(maxsize=32)
def _inverted(ranges: str) -> str:
    """What ranges of ASCII in brackets leave out, as ranges."""
    inside = re.compile(f"[{ranges}]")
    ascii_ = "".join(re.escape(chr(n)) for n in range(128) if not inside.match(chr(n)))
    return ascii_ + "\x80-\U0010ffff"


@functools.lru_cache(maxsize=256)
def expression(pattern: str) -> re.Pattern[str]:
    """A regular expression with the syntax of the native library.

    Raises
    ------
    MalformedError
    """
    try:
        return re.compile(_Translator(pattern).translate())
    except (re.error, RecursionError) as error:
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
            found = expression(pattern).search(text)
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
