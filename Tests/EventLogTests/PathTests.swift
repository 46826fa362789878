import Glibc
import Testing

@testable import LogFormat

@Suite struct PathTests {
  @Test(arguments: [
    ("a/b.db", "b.db", "a", "a/x"), ("b.db", "b.db", ".", "x"), ("/b.db", "b.db", "/", "/x"),
    ("/a/b/c", "c", "/a/b", "/a/b/x"), ("a/", "", "a", "a/x"), ("a//b", "b", "a/", "a//x"),
    ("é/\u{301}/ü", "ü", "é/\u{301}", "é/\u{301}/x"),
  ])
  func `a path is its folder and a name`(
    path: String, name: String, folder: String, sibling: String
  ) {
    #expect(path.lastPathComponent == name)
    #expect(path.parentFolder == folder)
    #expect(path.sibling("x") == sibling)
  }

  @Test func `a name from a log cannot point elsewhere`() {
    for name in ["", ".", "..", "a/b", "../a", "/a", "a\0"] {
      #expect(!UntrustedName.isFileName(name) && !UntrustedName.isRunID(name), "\(name)")
    }
    #expect(UntrustedName.isFileName("a b.db") && !UntrustedName.isRunID("a b.db"))
    #expect(UntrustedName.isRunID("01942f00-0000-7000-8000-00000000000f"))
  }

  @Test func `a folder is listed with all names in it, or an error says why not`() throws {
    let folder = try TemporaryFolder()
    for name in ["b", ".hidden", "\u{e9} x", String(repeating: "n", count: 255)] {
      try Files.write([], to: folder(name))
    }
    #expect(symlink("nowhere", folder("link")) == 0)
    let names = try FolderListing.names(folder.path)
    #expect(names == [".hidden", "b", "link", String(repeating: "n", count: 255), "\u{e9} x"])
    #expect(symlink("loop", folder("loop")) == 0)
    for (name, code) in [("none", ENOENT), ("b", ENOTDIR), ("loop", ELOOP)] {
      let failure = #expect(throws: FolderListing.Failure.self) {
        try FolderListing.names(folder(name))
      }
      #expect(failure?.code == code && failure?.isMissing == (code == ENOENT))
    }
    // Not UTF-8.
    let odd = Array(folder.path.utf8CString.dropLast()) + [0x2F, -1, 0]
    close(open(odd, O_CREAT | O_WRONLY, 0o600))
    #expect(try FolderListing.bytes(Array(folder.path.utf8CString)).last == [0xFF])
  }
}
