//===----------------------------------------------------------------------===//
// PluginLoading: finding and loading plugins by name.
//
// A name is that of a built-in plugin; `file.swift` is compiled against the one module
// TaskLogPlugin and loaded; `lib.so` is loaded. In a file, classes are found by their conformances,
// and `file.swift:Type` chooses one. Before any code of a file runs, the file is checked to be
// built against this version of the API; before a plugin is used, it is checked that none of its
// methods only looks like a hook.
//
// Imports only TaskLogPlugin and the C target CImages, no Foundation. Loading a file runs code that
// the user has named; nothing is ever loaded because a log says so.
//===----------------------------------------------------------------------===//
