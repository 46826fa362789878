/// Messages about workers whose last events may be missing.
extension [IncompleteWorker] {
  /// Maximum number of workers that are named in one line.
  private static let mostNamed = 3

  /// One line for each location of spools.
  ///
  /// - Parameter log: the name of the log, for the command that imports; `nil` if it has none.
  package func lines(log: String?) -> [String] {
    var groups: [[IncompleteWorker]] = []
    var places: [[String?]: Int] = [:]
    for worker in self {
      let place = [String(worker.run), worker.spool.rawValue, worker.host, worker.folder]
      if let known = places[place] {
        groups[known].append(worker)
      } else {
        places[place] = groups.count
        groups.append([worker])
      }
    }
    return groups.map { "worker events may be missing: \($0.sentence) \($0.way(log: log))" }
  }

  private var isOne: Bool { count == 1 }

  private var sentence: String {
    let names = prefix(Self.mostNamed).map(\.address).joined(separator: ", ")
    let more = count - Self.mostNamed
    let who = isOne ? "worker \(names)" : "\(count) workers (\(names)\(more > 0 ? ", …" : ""))"
    return "\(who) of run #\(first?.run ?? 0) \(isOne ? "has" : "have") no end in the log;"
  }

  /// How to get the missing events, or how many they are.
  package func way(log: String?) -> String {
    guard let first else { return "" }
    let spool = isOne ? "its spool" : "their spools"
    let folder = ShellWord.quoted(first.folder ?? "FOLDER")
    switch first.spool {
    case .here:
      let option = log.map { " --log \(ShellWord.quoted($0))" } ?? ""
      return "'tasklog import \(folder)\(option)' adds what \(spool) on this host "
        + (isOne ? "holds" : "hold") + ends(joinedBy: "; ")
    case .elsewhere:
      return
        "\(spool) may still be on host \(first.host ?? "?"): 'tasklog import \(folder)' there, "
        + "or of a copy of that folder, adds what \(isOne ? "it holds" : "they hold")"
        + ends(joinedBy: "; ")
    case .gone:
      let ends = ends(joinedBy: ": ")
      return "\(spool) \(isOne ? "is" : "are") gone from host \(first.host ?? "?")"
        + (ends.isEmpty
          ? ", and with \(isOne ? "it what it" : "them what they") had not sent" : ends)
    case .unknown:
      return "where \(spool) \(isOne ? "is" : "are") is not recorded in this format"
        + ends(joinedBy: "; ")
    }
  }

  private func ends(joinedBy joint: String) -> String {
    let missing = compactMap(\.missingEnds).reduce(0, +)
    guard missing > 0 else { return "" }
    return joint + "at least \(missing) task end\(missing == 1 ? "" : "s") of "
      + (isOne ? "this worker" : "these workers") + (missing == 1 ? " is missing" : " are missing")
  }
}

/// Words of a command for the user to type.
package enum ShellWord {
  package static func quoted(_ word: String) -> String {
    let isPlain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"):
        true
      default: Array("/._-+,:@%".utf8).contains(byte)
      }
    }
    guard !isPlain || word.isEmpty else { return word }
    return "\""
      + word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
      .replacing("$", with: "\\$").replacing("`", with: "\\`") + "\""
  }
}
