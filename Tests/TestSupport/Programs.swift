import Foundation

/// The programs that the package builds; they are in the folder of the test bundle.
package enum Programs {
  package static func path(_ name: String) -> String {
    URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent(name).path
  }
}
