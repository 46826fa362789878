"""Builds the dynamic library with Swift and puts it into the wheel.

The Swift runtime is linked in: the wheel needs no Swift where it is installed. With `TASKLOG_LIB`
a library that has been built already is taken. `TASKLOG_TRAITS` names the traits of the Swift
package to build with: with `RabbitMQ` the recorder can publish.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "libTaskLogC.so"
EXTENSION = "_native.abi3.so"


class SwiftBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        checkout = Path(self.root).resolve().parents[1]
        built = os.environ.get("TASKLOG_LIB") or self._build(checkout)
        packed = checkout / ".build-wheel" / LIBRARY
        packed.parent.mkdir(exist_ok=True)
        if not packed.exists() or not packed.samefile(built):
            shutil.copy(built, packed)
        strip = shutil.which("strip") or shutil.which("llvm-strip")
        if strip:
            subprocess.run([strip, "--strip-unneeded", packed], check=True)
        build_data["force_include"][str(packed)] = f"tasklog/{LIBRARY}"
        extension = self._compile(checkout / ".build-wheel")
        if extension is not None:
            build_data["force_include"][str(extension)] = f"tasklog/{EXTENSION}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def _compile(self, folder: Path) -> Path | None:
        """The fast way into the library, for every Python from 3.10 on; without a C compiler or
        Python's headers the package does without it."""
        compiler = shutil.which("cc") or shutil.which("clang")
        include = sysconfig.get_path("include")
        if compiler is None or not os.path.exists(os.path.join(include, "Python.h")):
            self.app.display_warning("no C compiler or Python.h: recording costs a little more")
            return None
        built = folder / EXTENSION
        command = [compiler, "-O2", "-fPIC", "-shared", "-DPy_LIMITED_API=0x030A0000"]
        source = os.path.join(self.root, "tasklog", "_native.c")
        subprocess.run([*command, "-I", include, source, "-o", str(built)], check=True)
        return built

    def _build(self, checkout: Path) -> str:
        if not (checkout / "Package.swift").exists():
            raise RuntimeError(
                "tasklog is built from its checkout: pip install CHECKOUT/Sources/Python"
            )
        swift = shutil.which("swift")
        if swift is None:
            raise RuntimeError("tasklog is built with Swift 6.2 or later, and there is no 'swift'")
        command = [swift, "build", "--package-path", str(checkout)]
        command += ["--scratch-path", str(checkout / ".build-wheel"), "-c", "release"]
        # `--static-swift-stdlib` does nothing for a dynamic library.
        command += ["-Xswiftc", "-static-stdlib", "--product", "TaskLogC"]
        if os.environ.get("TASKLOG_TRAITS"):
            command += ["--traits", os.environ["TASKLOG_TRAITS"]]
        subprocess.run(command, check=True)
        shown = subprocess.run(
            [*command, "--show-bin-path"], check=True, capture_output=True, text=True
        )
        return os.path.join(shown.stdout.strip(), LIBRARY)
