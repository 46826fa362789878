"""The API for Swift programs is listed in `Tests/public-api.txt`; all else is `package`."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

from documents import REPOSITORY

SCRIPT = REPOSITORY / "Tests" / "public-api"
loader = importlib.machinery.SourceFileLoader("public_api", str(SCRIPT))
spec = importlib.util.spec_from_loader("public_api", loader)
assert spec
public_api = importlib.util.module_from_spec(spec)
loader.exec_module(public_api)

# The functions of the C library are public for the linker; the programs have none.
NOT_PROMISED = {"TaskLogC", "Python"}


def test_the_public_declarations_are_those_that_are_listed() -> None:
    listed = (REPOSITORY / "Tests" / "public-api.txt").read_text().splitlines()
    found = [name for module in public_api.modules() for name in public_api.declarations(module)]
    difference = sorted(set(listed) ^ set(found))
    assert listed == found, f"run Tests/public-api >Tests/public-api.txt for {difference}"


def test_modules_that_no_program_imports_have_no_public_declaration() -> None:
    promised = {*public_api.modules(), *NOT_PROMISED}
    others = {folder.name for folder in public_api.SOURCES.iterdir() if folder.is_dir()} - promised
    assert {name: public_api.declarations(name) for name in others if name[0] != "C"} == {
        name: [] for name in others if name[0] != "C"
    }


def test_names_are_read_with_their_types_and_labels(tmp_path: Path) -> None:
    file = tmp_path / "Sample.swift"
    file.write_text("""
public struct Log: Sendable {
  public let path: String
  package var size = 0
  public init(path: String, _ options: [String: Int] = [:]) {}
  public static func open(
    _ path: String, for reading: Bool = true
  ) throws -> Log { fatalError() }
  public private(set) var count = 0
  struct Inner { var hidden = 0 }
  public func close() {}
}

extension Log {
  public subscript(index: Int) -> Int { index }
}
""")
    assert list(public_api.public_declarations(file)) == [
        "Log",
        "Log.path",
        "Log.init(path:_:)",
        "Log.open(_:for:)",
        "Log.count",
        "Log.close()",
        "Log.subscript(index:)",
    ]
