/// Joins the modules of the report page into one script: a page is one file without a network, so it
/// cannot import them. `Sources/CReportPage/Page/check.py` holds the modules to what this can join.
struct PageScript {
  private(set) var text = "\"use strict\";\n(() => {\n"

  /// Appends a module without its imports and the word `export`. The modules that it imports must be
  /// in the script already.
  mutating func append(module: String) {
    var isInImport = false
    for line in module.split(separator: "\n", omittingEmptySubsequences: false) {
      isInImport = isInImport || line.hasPrefix("import {")
      if isInImport {
        isInImport = !line.hasSuffix("\";")
        continue
      }
      text += line.hasPrefix("export ") ? line.dropFirst("export ".count) : line
      text += "\n"
    }
  }

  mutating func finish() { text += "})();\n" }
}
