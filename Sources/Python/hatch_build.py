"""Builds the dynamic library with Swift and puts it into the wheel.

The Swift runtime is linked in: the wheel needs no Swift where it is installed. With `TASKLOG_LIB`
a library that has been built already is taken.
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
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def _build(self, checkout: Path) -> str:
        if not (checkout / "Package.swift").exists():
            raise RuntimeError("tasklog is built from its checkout: pip install CHECKOUT/Sources/Python")
        swift = shutil.which("swift")
        if swift is None:
            raise RuntimeError("tasklog is built with Swift 6.2 or later, and there is no 'swift'")
        command = [swift, "build", "--package-path", str(checkout)]
        command += ["--scratch-path", str(checkout / ".build-wheel"), "-c", "release"]
        # `--static-swift-stdlib` does nothing for a dynamic library.
        command += ["-Xswiftc", "-static-stdlib", "--product", "TaskLogC"]
        subprocess.run(command, check=True)
        shown = subprocess.run(
            [*command, "--show-bin-path"], check=True, capture_output=True, text=True
        )
        return os.path.join(shown.stdout.strip(), LIBRARY)
