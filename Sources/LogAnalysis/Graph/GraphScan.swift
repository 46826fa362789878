import LogFormat

/// The tasks of a submitted graph and the dependencies of each, read without decoding all of it: a
/// graph may have a million tasks.
///
/// A task has its `key`; if it does not, its key is at the same index in the `tasks` of the args,
/// as Dask's recorder writes it.
package struct GraphScan {
  private var tasks: JSONScanner
  private var names: JSONScanner
  private var isAtEnd = false

  /// - Parameters:
  ///   - snapshot: in JSON.
  ///   - args: in JSON; empty if there are none.
  package init(_ snapshot: UnsafeBufferPointer<UInt8>, args: UnsafeBufferPointer<UInt8>) {
    tasks = JSONScanner(snapshot)
    names = JSONScanner(args)
    _ = names.enterList("tasks")
    isAtEnd = !tasks.enterList("graph")
  }

  /// The next task: its key and those of its dependencies, as JSON.
  package mutating func next(
    _ dependencies: inout [UnsafeBufferPointer<UInt8>]
  ) -> UnsafeBufferPointer<UInt8>? {
    dependencies.removeAll(keepingCapacity: true)
    guard !isAtEnd, tasks.take("{") else { return nil }
    var key: UnsafeBufferPointer<UInt8>?
    if tasks.peek() != UInt8(ascii: "}") {
      repeat {
        guard let name = tasks.string(), tasks.take(":") else {
          isAtEnd = true
          return nil
        }
        if tasks.equals(name, "key") {
          key = tasks.bytes()
        } else if tasks.equals(name, "dependencies"), tasks.take("[") {
          while tasks.peek() != UInt8(ascii: "]"), let dependency = tasks.bytes() {
            dependencies.append(dependency)
            guard tasks.take(",") else { break }
          }
          _ = tasks.take("]")
        } else {
          _ = tasks.skip()
        }
      } while tasks.take(",")
    }
    isAtEnd = !(tasks.take("}") && tasks.take(","))
    let name = names.bytes()
    _ = names.take(",")
    return key ?? name
  }
}

extension JSONScanner {
  /// Enters the list that is a member of an object.
  fileprivate mutating func enterList(_ name: StaticString) -> Bool {
    guard take("{") else { return false }
    repeat {
      guard let member = string(), take(":") else { return false }
      if equals(member, name) {
        if take("[") { return true }
        guard take("{"), let tag = string(), equals(tag, "$tuple"), take(":") else { return false }
        return take("[")
      }
      _ = skip()
    } while take(",")
    return false
  }

  /// The current value, as in the text.
  fileprivate mutating func bytes() -> UnsafeBufferPointer<UInt8>? {
    token().map { self[$0] }
  }
}
