"""`Tests/words` names each phrase that `Tests/unwanted-phrases` refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY

WORDS = REPOSITORY / "Tests" / "words"


def words(*files: Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, WORDS, *files], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_documentation_has_no_unwanted_phrase() -> None:
    assert words() == (0, [])


def test_a_phrase_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# Page\n\nThe run Goes\non in a file of its own.\nAn option that cannot be.\n")
    assert words(file) == (
        1,
        [
            f"{file}:3: 'Goes on': write continues, resumes",
            f"{file}:4: 'file of its own': write its own …",
            f"{file}:5: 'cannot be': write is invalid",
        ],
    )


def test_code_in_markdown_is_not_read(tmp_path: Path) -> None:
    text = "It cannot be read. `goes on`\n\n```\ngoes on\n```\n"
    for suffix, code in ((".md", 0), (".swift", 1)):
        file = tmp_path / f"page{suffix}"
        file.write_text(text)
        assert words(file)[0] == code
