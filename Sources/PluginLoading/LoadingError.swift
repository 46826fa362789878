/// Errors of finding and loading a plugin. Every message names the file and the remedy.
public enum LoadingError: Error, Sendable, Equatable {
  case unknown(option: String, name: String, known: [String])
  case missing(path: String)
  case staticRuntime(path: String)
  case unreadable(path: String, reason: String)
  case noCompiler(path: String)
  case noModule(path: String, folders: [String])
  case notCompiled(path: String)
  case cannotCache(path: String, reason: String)
  case cannotLoad(path: String, reason: String)
  case otherAPI(path: String, found: String, known: String)
  case noAPI(path: String)
  case ownCopy(path: String)
  case noPlugin(path: String)
  case noPreload(path: String)
  case several(path: String, types: [String])
  case noSuchType(path: String, type: String, types: [String])
  case noHook(path: String, type: String, method: String, hook: String)
}

extension LoadingError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknown(let option, let name, let known):
      "\(option) \(name): unknown plugin; expected \(known.joined(separator: ", ")), "
        + (option == "--plugin" ? "exec:'command', module:Class or file.py:Class of Dask, " : "")
        + "or a file that ends in .swift or .so"
    case .missing(let path): "\(path): no such file; expected a plugin's source or library"
    case .staticRuntime(let path):
      "\(path): plugins in Swift need a tasklog that shares Swift's runtime with them: build it with "
        + "Sources/install, which needs a Swift toolchain"
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .noCompiler(let path):
      "\(path): swiftc is not on the PATH; install a Swift toolchain, or give a library (.so)"
    case .noModule(let path, let folders):
      "\(path): TaskLogPlugin.swiftmodule, which it is compiled against, is not in "
        + "\(folders.joined(separator: " or ")); set TASKLOG_MODULES to its folder"
    case .notCompiled(let path): "\(path): swiftc failed; see its output above"
    case .cannotCache(let path, let reason):
      "\(path): cannot cache the compiled library: \(reason); set XDG_CACHE_HOME"
    case .cannotLoad(let path, let reason): "\(path): cannot be loaded: \(reason)"
    case .otherAPI(let path, let found, let known):
      "\(path): was built for \(found), but this tasklog has \(known); rebuild it"
    case .noAPI(let path):
      "\(path): not built against TaskLogPlugin; import it, and link the product TaskLogPluginDyn"
    case .ownCopy(let path):
      "\(path): contains its own copy of TaskLogPlugin; link the product TaskLogPluginDyn, not "
        + "TaskLogKit"
    case .noPlugin(let path):
      "\(path): has no plugin; write a class that conforms to SchedulerPlugin or WorkerPlugin"
    case .noPreload(let path):
      "\(path): has nothing to preload; write a class that conforms to Preload, SchedulerPlugin or "
        + "WorkerPlugin"
    case .several(let path, let types):
      "\(path): has \(types.count) plugins; choose one with \(path):\(types[0]) "
        + "(\(types.joined(separator: ", ")))"
    case .noSuchType(let path, let type, let types):
      "\(path): has no plugin '\(type)'; it has \(types.joined(separator: ", "))"
    case .noHook(let path, let type, let method, let hook):
      "\(path): \(type).\(method) is named like a hook but has other parameters, so it would never "
        + "be called; the hook is \(hook)"
    }
  }
}
