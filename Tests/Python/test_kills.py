"""Commands that are killed: `kills.py` does thousands of what is done here a hundred times."""

from __future__ import annotations

from pathlib import Path

import kills


def test_nothing_is_lost_or_left_behind_by_100_kills(tmp_path: Path) -> None:
    kills.kills(tmp_path, 100, seed=1)
    assert (tmp_path / "next").read_text() == "100"
    names = {path.name for path in (tmp_path / "kills").iterdir()}
    assert names == set()
