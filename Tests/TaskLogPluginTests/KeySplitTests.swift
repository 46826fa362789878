import Testing

@testable import TaskLogPlugin

/// The results of `dask.utils.key_split` and `distributed.utils.key_split_group` of Dask 2026.8.
///
/// NUL and lone surrogates are escaped as in all text for people; a group that is not text in Dask
/// is given as its `str`; `nil` where Dask raises.
@Suite struct KeySplitTests {
  private static let expectations: [(key: Value, prefix: String, group: String?)] = [
    ("x", "x", "x"),
    ("x-1", "x", "x"),
    ("x-1-2-3", "x", "x"),
    (.tuple(["x-2", 1]), "x", "x-2"),
    ("('x-2', 1)", "x", "x-2"),
    ("('x', 1)", "x", "x"),
    ("hello-world-1", "hello-world", "hello-world"),
    ("ae05086432ca935f6eba409a8ecd4896", "data", "data"),
    (
      "AE05086432CA935F6EBA409A8ECD4896", "AE05086432CA935F6EBA409A8ECD4896",
      "AE05086432CA935F6EBA409A8ECD4896"
    ),
    (
      "ae05086432ca935f6eba409a8ecd48960", "ae05086432ca935f6eba409a8ecd48960",
      "ae05086432ca935f6eba409a8ecd48960"
    ),
    ("x-ae05086432ca935f6eba409a8ecd4896", "x", "x"),
    ("ae05086432ca935f6eba409a8ecd4896-1", "data", "data"),
    ("<module.submodule.myclass object at 0xdaf372", "myclass", "myclass"),
    ("<module.submodule.myclass object at 0xdaf372>", "myclass", "myclass"),
    ("x-abcdefab", "x", "x"),
    ("x-abcdefgh", "x", "x"),
    ("x-zbcdefab", "x-zbcdefab", "x-zbcdefab"),
    ("x-fooooooo", "x", "x"),
    ("x-abcdefa", "x-abcdefa", "x-abcdefa"),
    ("_(x)", "x", "x"),
    ("_", "Other", "Other"),
    ("", "Other", nil),
    ("-", "Other", "Other"),
    ("-x", "Other", "Other"),
    ("--", "Other", "Other"),
    ("x-", "x", "x"),
    ("x--y", "x", "x"),
    ("x-y-", "x-y", "x-y"),
    ("_-abc", "-abc", "-abc"),
    ("(", "Other", ""),
    ("()", "Other", ""),
    ("(((", "Other", ""),
    ("<", "Other", nil),
    ("<>", "Other", nil),
    ("<a>", "a", "a"),
    ("<a.b.>", "", ""),
    ("<.>", "", ""),
    ("< a b>", "a", "a"),
    ("<a\u{9}b>", "a", "a"),
    ("<a\u{a0}b>", "a", "a"),
    ("a b-c", "a b-c", "a b-c"),
    ("1", "1", "1"),
    ("1-x", "1-x", "1-x"),
    ("1x-y-2", "1x-y", "1x-y"),
    ("\u{e9}-1", "\u{e9}", "\u{e9}"),
    ("e\u{301}-1", "e\u{301}", "e\u{301}"),
    ("x-e\u{301}-y", "x", "x"),
    ("x-\u{301}y", "x", "x"),
    ("-\u{301}", "Other", "Other"),
    ("\u{301}x-1", "\u{301}x", "\u{301}x"),
    ("x-\u{2167}-y", "x", "x"),
    ("\u{2167}-x", "\u{2167}-x", "\u{2167}-x"),
    ("\u{aa}-x", "\u{aa}-x", "\u{aa}-x"),
    ("\u{65e5}\u{672c}-\u{8a9e}-1", "\u{65e5}\u{672c}-\u{8a9e}", "\u{65e5}\u{672c}-\u{8a9e}"),
    ("x-\u{65e5}\u{672c}", "x-\u{65e5}\u{672c}", "x-\u{65e5}\u{672c}"),
    ("b\u{301}bcdefg-x", "b\u{301}bcdefg-x", "b\u{301}bcdefg-x"),
    ("x-b\u{301}bcdefg", "x", "x"),
    ("x-f\u{3b1}\u{3b1}\u{3b1}\u{3b2}\u{3b2}\u{3b2}\u{3b3}", "x", "x"),
    ("x-\u{e1}abcdefg", "x-\u{e1}abcdefg", "x-\u{e1}abcdefg"),
    ("x,y-1", "x,y", "x,y"),
    ("1,y-z", "1-z", "1-z"),
    ("\"q\"-1", "q", "q"),
    ("'q'-z", "q-z", "q-z"),
    ("(\u{301}a, 1)", "\u{301}a", "\u{301}a"),
    ("<\u{301}a b>", "\u{301}a", "\u{301}a"),
    ("x\u{d}\u{a}-y", "x\u{d}\u{a}-y", "x\u{d}\u{a}-y"),
    ("\u{d}\u{a}x-y", "\u{d}\u{a}x-y", "\u{d}\u{a}x-y"),
    ("x_y-1", "x_y", "x_y"),
    ("x.y-z", "x.y-z", "x.y-z"),
    ("\u{1d4b3}-\u{1d4b4}-1", "\u{1d4b3}-\u{1d4b4}", "\u{1d4b3}-\u{1d4b4}"),
    ("\u{1f44d}-x", "\u{1f44d}-x", "\u{1f44d}-x"),
    ("x-\u{1f44d}", "x", "x"),
    ("sum-agg-abcdefab-1", "sum-agg", "sum-agg"),
    ("getitem-<lambda>-1", "getitem", "getitem"),
    ("<lambda>-x", "lambda>-x", "lambda>-x"),
    (.tuple([1, 2]), "Other", "1"),
    (.tuple([1.5, "x"]), "Other", "1.5"),
    (.tuple(["x"]), "x", "x"),
    (.tuple([.tuple(["x-1", 2]), 3]), "x", "('x-1', 2)"),
    (.tuple([.tuple(["x-1", 2])]), "x", "('x-1', 2)"),
    (.tuple(["", 1]), "Other", ""),
    (.tuple(["<a.b c>", 1]), "b", "<a.b c>"),
    (.tuple(["ae05086432ca935f6eba409a8ecd4896", 1]), "data", "ae05086432ca935f6eba409a8ecd4896"),
    (1, "Other", "Other"),
    (1.5, "Other", "Other"),
    (.wtf8([0x78, 0xed, 0xb2, 0x80, 0x2d, 0x31]), "x\\udc80", "x\\udc80"),
    (.wtf8([0x78, 0x2d, 0xed, 0xb2, 0x80]), "x", "x"),
    (.wtf8([0xed, 0xb2, 0x80, 0x2d, 0x78]), "\\udc80-x", "\\udc80-x"),
    (.tuple([.wtf8([0x78, 0x2d, 0xed, 0xb2, 0x80]), 0]), "x", "x-\\udc80"),
    ("x\u{0}-1", "x\\u0000", "x\\u0000"),
    (.tuple(["x\u{0}-1", 1]), "x\\u0000", "x\\u0000-1"),
    ("\u{2b0}-x", "\u{2b0}-x", "\u{2b0}-x"),
    ("x-\u{2b0}a", "x-\u{2b0}a", "x-\u{2b0}a"),
    ("\u{df}-\u{df}", "\u{df}-\u{df}", "\u{df}-\u{df}"),
    ("x-\u{1c6}", "x-\u{1c6}", "x-\u{1c6}"),
    ("x- y", "x", "x"),
    (" x-y", " x-y", " x-y"),
    ("'", "Other", "Other"),
    ("\"_x_\"", "x", "x"),
    ("__init__-x", "init-x", "init-x"),
    ("('a', 'b-c')", "a", "a"),
    ("('x-1', 2)-y", "x", "x-1"),
    ("('x', 1", "x", "x"),
    ("x-aaaaaaaa-y", "x", "x"),
    ("x-ffffffff", "x", "x"),
    ("x-gaaaaaaa", "x-gaaaaaaa", "x-gaaaaaaa"),
    ("x-fAAAAAAA", "x", "x"),
    ("x-FAAAAAAA", "x-FAAAAAAA", "x-FAAAAAAA"),
  ]

  @Test func `prefix and group are those of Dask`() throws {
    for (value, prefix, group) in Self.expectations {
      let key = try #require(Key(value))
      #expect(key.prefix.sameBytes(as: prefix), "prefix of \(key): '\(key.prefix)'")
      let expected = group ?? "Other"
      #expect(key.group.sameBytes(as: expected), "group of \(key): '\(key.group)'")
    }
  }

  @Test func `a key from a log has the same prefix and group`() throws {
    for (value, _, _) in Self.expectations {
      let key = try #require(Key(value))
      let read = Key(text: key.text, typed: key.typed)
      #expect(read.prefix.sameBytes(as: key.prefix))
      #expect(read.group.sameBytes(as: key.group))
    }
  }
}
