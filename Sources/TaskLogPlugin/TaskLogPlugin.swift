//===----------------------------------------------------------------------===//
// TaskLogPlugin: the vocabulary of tasklog.
//
// What it does: keys, states, values, events; the plugin protocols with every hook; the state
// classes that plugins can read, and the one function that changes them, `apply(_:)`.
//
// What it may import: nothing but the standard library, not even a C target. Its one
// `.swiftmodule` is enough to compile a plugin against.
//
// What it promises: the live engine and a replay drive the same classes with the same events, so a
// plugin cannot tell them apart. Whatever a log contains, `apply(_:)` does not trap.
//===----------------------------------------------------------------------===//
