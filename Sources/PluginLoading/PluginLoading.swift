//===----------------------------------------------------------------------===//
// PluginLoading: plugins by what a user calls them.
//
// A name is that of a plugin that comes with tasklog; `file.swift` is compiled against the one
// module TaskLogPlugin and loaded; `lib.so` is loaded. In a file, classes are found by what they
// conform to, and `file.swift:Type` chooses one. Before anything of a file is run it is checked that
// it was built against this version of the API; before a plugin is used, that no method of its only
// looks like a hook.
//
// Imports TaskLogPlugin and the C target CImages alone, no Foundation. Loading a file runs code that
// the user has named; nothing is ever loaded because a log says so.
//===----------------------------------------------------------------------===//
