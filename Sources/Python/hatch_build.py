"""Puts the dynamic library and the `tasklog` command into the wheel, or makes one without them.

`Sources/Portable/link` builds both and links Swift's runtime into them: the wheel needs no Swift
where it is installed. `TASKLOG_LIB` names a library that has been built already, and
`TASKLOG_PROGRAM` a command; with `TASKLOG_LIB` alone the wheel has no command. With
`TASKLOG_PURE=1` it has neither, and is for any system: `py3-none-any`. `TASKLOG_TRAITS`
names the traits of the Swift package to build with: with `RabbitMQ` the recorder can publish. `CC`
names the C compiler.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "libTaskLogC.so"
PROGRAM = "tasklog"
EXTENSION = "_native.abi3.so"
#: Where the package looks for the SQL of the views.
MIGRATIONS = "tasklog/reading/pure/migrations"
#: Of what is linked into both.
LICENSES = "LICENSES"


class SwiftBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        checkout = Path(self.root).resolve().parents[1]
        # The SQL of the views, for Python's own SQLite.
        for file in sorted((checkout / "Migrations").glob("*.sql")):
            build_data["force_include"][str(file)] = f"{MIGRATIONS}/{file.name}"
        if os.environ.get("TASKLOG_PURE") == "1":
            build_data["pure_python"] = True
            build_data["tag"] = "py3-none-any"
            return
        folder = checkout / ".build-wheel"
        folder.mkdir(exist_ok=True)
        library, program = os.environ.get("TASKLOG_LIB"), os.environ.get("TASKLOG_PROGRAM")
        if not library:
            self._build(checkout, folder)
            library = str(folder / LIBRARY)
            program = program or str(folder / PROGRAM)
        packed = self._pack(library, folder / LIBRARY)
        build_data["force_include"][packed] = f"tasklog/{LIBRARY}"
        licenses = Path(library).parent / LICENSES
        if licenses.exists():
            build_data["force_include"][str(licenses)] = f"tasklog/{LICENSES}"
        if program:
            packed = self._pack(program, folder / PROGRAM)
            build_data["shared_scripts"][packed] = PROGRAM
        else:
            self.app.display_warning("no TASKLOG_PROGRAM: the wheel has no tasklog command")
        extension = self._compile(folder)
        if extension is not None:
            build_data["force_include"][str(extension)] = f"tasklog/{EXTENSION}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def _pack(self, built: str, packed: Path) -> str:
        """The path of a copy without symbols that are not exported."""
        if not packed.exists() or not packed.samefile(built):
            shutil.copy(built, packed)
        strip = shutil.which("strip") or shutil.which("llvm-strip")
        if strip:
            subprocess.run([strip, "--strip-unneeded", packed], check=True)
        return str(packed)

    def _compile(self, folder: Path) -> Path | None:
        """The fast way into the library, for every Python from 3.10 on; without a C compiler or
        Python's headers the package does without it."""
        found = shutil.which("cc") or shutil.which("clang")
        compiler = shlex.split(os.environ.get("CC", "")) or [found]
        include = sysconfig.get_path("include")
        if compiler[0] is None or not os.path.exists(os.path.join(include, "Python.h")):
            self.app.display_warning("no C compiler or Python.h: recording costs a little more")
            return None
        built = folder / EXTENSION
        command = [*compiler, "-O2", "-s", "-fPIC", "-shared", "-DPy_LIMITED_API=0x030A0000"]
        source = os.path.join(self.root, "tasklog", "_native.c")
        subprocess.run([*command, "-I", include, source, "-o", str(built)], check=True)
        return built

    def _build(self, checkout: Path, folder: Path) -> None:
        link = checkout / "Sources" / "Portable" / "link"
        if not link.exists():
            raise RuntimeError(
                "tasklog is built from its checkout: pip install CHECKOUT/Sources/Python"
            )
        if shutil.which("swift") is None:
            raise RuntimeError("tasklog is built with Swift 6.2 or later, and there is no 'swift'")
        subprocess.run([link, folder], check=True)
