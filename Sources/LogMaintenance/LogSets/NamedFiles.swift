import EventLog
import LogFormat

/// The files that the name of a log stands for: those of the selected runs for a template such as
/// `logs/{run}.db`, else one file.
struct NamedFiles {
  /// The paths in the order of recording; empty for a template without files.
  var paths: [String]
  /// The selector of the runs in them.
  var selector: String
  var isTemplate = false
  /// The number of selected runs of a template.
  var runCount = 0

  /// - Throws: `LogError` if there is no such run.
  init(_ name: String, runs selector: String) throws {
    guard LogTemplate.isTemplate(name) else {
      (paths, self.selector) = ([name], selector)
      return
    }
    // A file that is being created is still empty.
    let files = LogTemplate.files(name).filter { LogPruning.bytes(of: $0.path) > 0 }
    var runs: [(id: String, number: Int64)] = []
    for file in files where runs.last?.id != file.run {
      runs.append((file.run, Int64(runs.count + 1)))
    }
    let selector = RunSelector(selector)
    let selected =
      runs.isEmpty
      ? [] : try selector.select(from: runs, ofLog: name, id: \.id, number: \.number)
    let ids = Set(selected.map(\.id))
    paths = files.filter { ids.contains($0.run) }.map(\.path)
    self.selector = (selector == .all ? selector : .latest).text
    (isTemplate, runCount) = (true, selected.count)
  }
}
