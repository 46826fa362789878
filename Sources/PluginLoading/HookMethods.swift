import CImages
import Glibc
import TaskLogPlugin

/// The methods of an image, by their names in the source.
///
/// A method that is named like a hook but takes other parameters compiles, and is never called,
/// because every hook has a default. It is found by the names of the functions in the image.
struct HookMethods {
  /// For example `Module.Counter.transition(key: TaskLogPlugin.Key)`, without what follows.
  private var methods: [Substring] = []

  init(of image: [UInt8]) {
    let names = Names()
    image.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      tl_function_names(
        start, bytes.count,
        { name, context in
          guard let context, let demangled = tl_demangle(name) else { return }
          defer { free(demangled) }
          Unmanaged<Names>.fromOpaque(context).takeUnretainedValue().all.append(
            String(cString: demangled))
        }, Unmanaged.passUnretained(names).toOpaque())
    }
    methods = names.all.compactMap { Self.upToParameters(Self.withShortArrays($0)) }
  }

  /// Writes arrays as `[Key]`; an optimized image has `Swift.Array<Key>`.
  private static func withShortArrays(_ name: String) -> String {
    let long = "Swift.Array<"
    var name = name
    while let start = name.ranges(of: long).last {
      var depth = 1
      let end = name[start.upperBound...].firstIndex { character in
        if character == "<" { depth += 1 }
        if character == ">" { depth -= 1 }
        return depth == 0
      }
      guard let end else { return name }
      name =
        name[..<start.lowerBound] + "[" + name[start.upperBound..<end] + "]"
        + name[name.index(after: end)...]
    }
    return name
  }

  private final class Names {
    var all: [String] = []
  }

  /// A function name up to the end of its parameters; `nil` for thunks and the like.
  private static func upToParameters(_ name: String) -> Substring? {
    guard !name.contains(" of "), !name.contains(" for "), let open = name.firstIndex(of: "(")
    else {
      return nil
    }
    var depth = 0
    for index in name[open...].indices {
      if name[index] == "(" { depth += 1 }
      if name[index] == ")" { depth -= 1 }
      if depth == 0 { return name[...index] }
    }
    return nil
  }

  /// A method of a plugin that is named like one of its hooks although none of that name matches,
  /// and the signature of the hook.
  func misnamed(in type: any Plugin.Type) -> (method: String, hook: String)? {
    let prefix = String(reflecting: type) + "."
    let candidates = methods.compactMap { $0.hasPrefix(prefix) ? $0.dropFirst(prefix.count) : nil }
    var hooks: [(name: String, parameters: String)] = []
    if type is any SchedulerPlugin.Type { hooks += Self.schedulerHooks }
    if type is any WorkerPlugin.Type { hooks += Self.workerHooks }
    if type is any Preload.Type { hooks += Self.preloadHooks }
    for method in candidates {
      guard let open = method.firstIndex(of: "(") else { continue }
      let named = hooks.filter { method[..<open] == $0.name }
      guard let hook = named.first else { continue }
      let exists = candidates.contains { one in named.contains { one == $0.name + $0.parameters } }
      if !exists { return (Self.plain(String(method)), Self.plain(hook.name + hook.parameters)) }
    }
    return nil
  }

  /// A signature with types as written in source code.
  private static func plain(_ text: String) -> String {
    text.replacing("TaskLogPlugin.", with: "").replacing("Swift.", with: "")
  }

  static let schedulerHooks: [(name: String, parameters: String)] = [
    ("start", "(scheduler: TaskLogPlugin.Scheduler)"), ("beforeClose", "()"), ("close", "()"),
    (
      "updateGraph",
      "(scheduler: TaskLogPlugin.Scheduler, client: Swift.String, keys: [TaskLogPlugin.Key], "
        + "tasks: [TaskLogPlugin.Key], annotations: TaskLogPlugin.Value, priority: "
        + "TaskLogPlugin.OrderedMap<TaskLogPlugin.Key, TaskLogPlugin.Priority>, "
        + "stimulusID: Swift.String, args: TaskLogPlugin.Args)"
    ),
    ("restart", "(scheduler: TaskLogPlugin.Scheduler)"), ("transition", transition),
    ("addWorker", "(scheduler: TaskLogPlugin.Scheduler, worker: Swift.String)"),
    (
      "removeWorker",
      "(scheduler: TaskLogPlugin.Scheduler, worker: Swift.String, stimulusID: Swift.String)"
    ),
    ("addClient", "(scheduler: TaskLogPlugin.Scheduler, client: Swift.String)"),
    ("removeClient", "(scheduler: TaskLogPlugin.Scheduler, client: Swift.String)"),
    (
      "validWorkersDownscaling",
      "(scheduler: TaskLogPlugin.Scheduler, workers: [TaskLogPlugin.WorkerInfo])"
    ),
    ("logEvent", "(topic: Swift.String, message: TaskLogPlugin.Value)"),
  ]

  static let workerHooks: [(name: String, parameters: String)] = [
    ("setup", "(worker: TaskLogPlugin.Worker)"), ("teardown", "(worker: TaskLogPlugin.Worker)"),
    ("transition", transition),
  ]

  static let preloadHooks: [(name: String, parameters: String)] = [
    ("setup", "(scheduler: TaskLogPlugin.Scheduler)"),
    ("teardown", "(scheduler: TaskLogPlugin.Scheduler)"),
  ]

  private static let transition =
    "(key: TaskLogPlugin.Key, start: TaskLogPlugin.State, finish: TaskLogPlugin.State, "
    + "stimulusID: Swift.String, args: TaskLogPlugin.Args)"
}
