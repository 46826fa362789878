"""An environment of Python with the wheel that has no native part."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def build(folder: Path) -> Path:
    """Builds the wheel, as `Sources/release` does; without network if hatchling is there."""
    there = subprocess.run([sys.executable, "-c", "import hatchling"], capture_output=True)
    isolation = ["--no-build-isolation"] if there.returncode == 0 else []
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation, "--wheel-dir",
         folder, REPOSITORY / "Sources/Python"],
        check=True, env={**os.environ, "TASKLOG_PURE": "1"},
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """The Python of a new environment with the wheel, and with what else this one has."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/python"


def environment() -> dict[str, str]:
    """The environment of a process that has no native part."""
    hidden = ("TASKLOG_LIB", "TASKLOG_PROGRAM", "TASKLOG_TEST_OLDER")
    return {name: value for name, value in os.environ.items() if name not in hidden}
