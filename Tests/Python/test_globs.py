"""Patterns of names match in Python as they do in Swift and SQL: see `GlobTests`."""

from __future__ import annotations

from globs import GLOBS
from tasklog.filtering import Patterns


def test_each_case_of_the_table_matches_as_it_says() -> None:
    assert len(GLOBS) > 30
    for case in GLOBS:
        patterns = Patterns([case["pattern"]], case.get("ignores_case", False))
        for name in case["matches"]:
            assert patterns.matches(name), (case["pattern"], name)
        for name in case["others"]:
            assert not patterns.matches(name), (case["pattern"], name)


def test_one_of_several_patterns_matches() -> None:
    patterns = Patterns(["a*", "[xy]", "b|c"])
    assert all(patterns.matches(name) for name in ("abc", "x", "[xy]", "b|c"))
    assert not any(patterns.matches(name) for name in ("b", "c", "z", "ba"))
    assert Patterns([]).is_empty and not Patterns([]).matches("")
