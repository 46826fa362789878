import Foundation
import TestSupport
import Testing

@testable import Reporting

/// Files that are either complete or absent.
@Suite struct OutputFileTests {
  @Test(arguments: [true, false])
  func `a file is complete or absent`(isNameless: Bool) throws {
    let folder = try TemporaryFolder()
    let path = folder("written")
    do {
      let file = try OutputFile(path: path, isNameless: isNameless)
      try file.write(String(repeating: "x", count: 1_000_000))
      #expect(folder.names == (isNameless ? [] : ["written.part"]))
    }
    #expect(folder.names == [])
    let file = try OutputFile(path: path, isNameless: isNameless)
    try file.write("whole")
    try file.commit()
    #expect(folder.names == ["written"])
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "whole")
    let again = try OutputFile(path: path, isNameless: isNameless)
    try again.write("new")
    try again.commit()
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
    #expect(folder.names == ["written"])
  }

  @Test(arguments: [true, false])
  func `what a killed program left is replaced`(isNameless: Bool) throws {
    let folder = try TemporaryFolder()
    try folder.write("written.part", "left behind and longer than the next")
    let file = try OutputFile(path: folder("written"), isNameless: isNameless)
    try file.write("whole")
    try file.commit()
    #expect(folder.names == ["written"])
    #expect(try String(contentsOfFile: folder("written"), encoding: .utf8) == "whole")
  }

  @Test func `two writers of one path do not mix`() throws {
    let folder = try TemporaryFolder()
    let first = try OutputFile(path: folder("written"), isNameless: false)
    #expect(throws: ReportingError.self) {
      try OutputFile(path: folder("written"), isNameless: false)
    }
    let nameless = try OutputFile(path: folder("other"))
    let other = try OutputFile(path: folder("other"))
    try nameless.write("one")
    try other.write("two")
    try nameless.commit()
    try other.commit()
    try first.write("first")
    try first.commit()
    #expect(folder.names == ["other", "written"])
    #expect(try String(contentsOfFile: folder("other"), encoding: .utf8) == "two")
  }

  @Test func `a link in the place of the unfinished file is not followed`() throws {
    let folder = try TemporaryFolder()
    try folder.write("victim", "untouched")
    #expect(symlink(folder("victim"), folder("written.part")) == 0)
    #expect(throws: ReportingError.self) {
      try OutputFile(path: folder("written"), isNameless: false)
    }
    let file = try OutputFile(path: folder("written"))
    try file.write("whole")
    try file.commit()
    #expect(try String(contentsOfFile: folder("victim"), encoding: .utf8) == "untouched")
    #expect(folder.names == ["victim", "written"])
  }
}
