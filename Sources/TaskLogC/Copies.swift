import LogMaintenance

@_cdecl("tasklog_copy")
public func tasklogCopy(_ log: UnsafePointer<CChar>?, _ copy: UnsafePointer<CChar>?) -> Int32 {
  guard let log, let copy, log.pointee != 0, copy.pointee != 0 else {
    return Recorders.fail(Status.badArgument, "expected a log and a file")
  }
  return write { try LogCopy.copy(String(cString: log), to: String(cString: copy)) }
}

@_cdecl("tasklog_combine")
public func tasklogCombine(
  _ log: UnsafePointer<CChar>?, _ other: UnsafePointer<CChar>?, _ target: UnsafePointer<CChar>?
) -> Int32 {
  guard let log, let other, let target, log.pointee != 0, other.pointee != 0, target.pointee != 0
  else { return Recorders.fail(Status.badArgument, "expected two logs and a file") }
  return write {
    try LogCopy.combine(
      [String(cString: log), String(cString: other)], into: String(cString: target))
  }
}

private func write(_ body: () throws -> Void) -> Int32 {
  do {
    try body()
    return 0
  } catch {
    return Recorders.fail(Status.cannotWrite, "\(error)")
  }
}
