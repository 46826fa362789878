"""What a log has in the place of the tables, indexes and views that tasklog knows.

A statement does what the schema of the file says: a view or a trigger in the place of a table runs
SQL of a stranger. So nothing is read unless each name of ours has the SQL of a known
version, as on the Swift side (``SchemaSurvey``).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[[^\]]*\]|`[^`]*`|[\w$]+|\S",
    re.DOTALL,
)
#: The index whose numbers differ from log to log.
_WITH_NUMBERS = "event_failure"
#: What `tasklog index` and SQLite itself create.
_IN_ANY_VERSION = (
    "CREATE INDEX event_stimulus ON event (stimulus);"
    "CREATE INDEX event_finish ON event (finish);"
    "CREATE INDEX event_failure ON event (finish) WHERE finish IN (0, 0);"
    "CREATE INDEX key_typed ON key (typed) WHERE typed != '';"
    "CREATE TABLE sqlite_sequence(name,seq);"
    "CREATE TABLE sqlite_stat1(tbl,idx,stat);"
    "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample);"
)


@dataclass
class Survey:
    """What is in a file."""

    #: Why nothing may be read from the log.
    objections: list[str] = field(default_factory=list)
    #: The tables of ours that are there.
    #: Whether an object of ours has other SQL than in any known version.
    has_unknown_sql: bool = False
    tables: set[str] = field(default_factory=set)
    #: Whether every view of the newest version is there with its own SQL.
    has_newest_views: bool = False


@dataclass
class _Known:
    kind: str
    texts: list[str] = field(default_factory=list)

    def matches(self, sql: str, name: str) -> bool:
        if sql in self.texts:
            return True
        hides = name == _WITH_NUMBERS
        return _normalized(sql, hides) in {_normalized(text, hides) for text in self.texts}


def _tokens(sql: str) -> Iterator[re.Match[str]]:
    return (each for each in _TOKEN.finditer(sql) if not each[0].startswith(("--", "/*")))


def _normalized(sql: str, hides_numbers: bool) -> str:
    """A statement without comments; the name of what it creates without quotes."""
    tokens = [token[0] for token in _tokens(sql)]
    if len(tokens) > 2:
        tokens[2] = re.sub(r'^"([\w$]+)"$', r"\1", tokens[2])
    if hides_numbers:
        tokens = ["0" if re.fullmatch("[0-9]+", token) else token for token in tokens]
    return " ".join(tokens)


def _statements(sql: str) -> Iterator[tuple[str, str, str]]:
    """The kind, the name and the SQL of what statements create."""
    words: list[str] = []
    first = last = 0
    for token in _tokens(sql):
        if token[0] != ";":
            first = first if words else token.start()
            last = token.end()
            if len(words) < 4:
                words.append(token[0])
            continue
        if len(words) > 3 and words[0] == "CREATE":
            is_unique = words[1] == "UNIQUE"
            yield words[1 + is_unique].lower(), words[2 + is_unique], sql[first:last]
        words = []


class Schema:
    """The schema of all versions."""

    def __init__(self, migrations: tuple[str, ...], reader_views: str) -> None:
        self._known: dict[str, _Known] = {}
        for text in (*migrations, _IN_ANY_VERSION):
            for kind, name, sql in _statements(text):
                # A migration makes this table anew, under another name at first; SQLite quotes the
                # new one.
                if name == "source_of_version_2":
                    name, sql = "source", sql.replace(name, '"source"')
                self._known.setdefault(name, _Known(kind)).texts.append(sql)
        for _, name, _ in _statements(reader_views):
            self._known[name] = _Known("view")
        self._views = {
            name: sql for kind, name, sql in _statements(migrations[-1]) if kind == "view"
        }

    def survey(self, connection: sqlite3.Connection, is_newer: bool) -> Survey:
        """Looks at what a log has; tables of a newer version may have other columns."""
        found = Survey()
        newest_views = 0
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
        for kind, name, table, sql in rows.fetchall():
            known = self._known.get(str(name).lower())
            if kind == "trigger":
                if str(table).lower() in self._known:
                    found.objections.append(f"the trigger '{name}' is on '{table}'")
                elif known:
                    found.objections.append(f"a trigger has the name '{name}'")
            elif known and kind != known.kind:
                found.objections.append(f"a {kind} is in the place of the {known.kind} '{name}'")
            elif known and kind == "view":
                newest_views += self._views.get(name) == sql
            elif known:
                if kind == "table":
                    found.tables.add(name)
                if not (known.matches(str(sql), name) or is_newer and _is_free(kind, name, sql)):
                    found.has_unknown_sql = True
                    found.objections.append(
                        f"the {kind} '{name}' has other SQL than that of any known version"
                    )
        found.has_newest_views = newest_views == len(self._views)
        return found


def _is_free(kind: str, name: str, sql: str) -> bool:
    """Whether an object of a newer version may have any SQL."""
    if kind == "index":
        return name != _WITH_NUMBERS
    return not {"VIRTUAL", "AS", "GENERATED"} & {token[0].upper() for token in _tokens(sql)}
