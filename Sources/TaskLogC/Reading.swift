import CReading
import CSupport
import EventLog
import Glibc
import LogFormat
import LogMaintenance

/// The words of errors for programs; the commands name their own options.
enum ReadingError {
  static func text(_ error: any Error) -> String {
    switch error {
    case LogError.missing(let path):
      "\(path): there is no such log; check the path, or name a folder or a pattern"
    case LogError.unknownRun(let path, let run):
      "\(path): has no run '\(run)'; the table 'runs' of the log lists them"
    case UserSQLError.unnamedParameter:
      "SQL: a parameter needs a name, as :key; give it by keyword, as sql(…, key=value)"
    case UserSQLError.missingParameter(let name):
      "SQL: \(name) has no value; give it by keyword, as sql(…, \(name.dropFirst())=value)"
    case UserSQLError.unusedParameter(let name): "SQL: \(name)=…: there is no :\(name) in it"
    case UserSQLError.tookTooLong(let seconds):
      "SQL: stopped after \(seconds) seconds; a larger timeout gives it longer, None any time"
    default: "\(error)"
    }
  }
}

private func failed(_ error: any Error) -> Int32 {
  let status = error is OptionsError ? Status.badArgument : Status.cannotRead
  return Recorders.fail(status, ReadingError.text(error))
}

@_cdecl("tasklog_log_stop_when")
public func tasklogLogStopWhen(_ word: UnsafePointer<Int32>?) { tl_stop_when(word) }

@_cdecl("tasklog_log_open")
public func tasklogLogOpen(_ names: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int) -> Int64 {
  guard let names, count > 0 else {
    return Int64(Recorders.fail(Status.badArgument, "expected the name of a log"))
  }
  do {
    let log = try OpenLog((0..<count).compactMap { names[$0].map { String(cString: $0) } })
    return OpenLogs.current.add(log)
  } catch {
    return Int64(failed(error))
  }
}

@_cdecl("tasklog_log_close")
public func tasklogLogClose(_ log: Int64) -> Int32 {
  OpenLogs.current.remove(log) == nil ? notOpen(log) : 0
}

@_cdecl("tasklog_log_describe")
public func tasklogLogDescribe(
  _ log: Int64, _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  guard let open = OpenLogs.current[log] else { return notOpen(log) }
  do {
    text?.pointee = strdup(try open.described())
    return 0
  } catch {
    return failed(error)
  }
}

@_cdecl("tasklog_log_query")
public func tasklogLogQuery(
  _ log: Int64, _ request: UnsafePointer<CChar>?, _ stream: UnsafeMutableRawPointer?
) -> Int32 {
  guard let open = OpenLogs.current[log] else { return notOpen(log) }
  guard let request, let stream else {
    return Recorders.fail(Status.badArgument, "expected a request and a stream")
  }
  do {
    let request = try QueryRequest(String(cString: request))
    let query = try LogQuery(open, request)
    // The caller says that there is such a struct.
    let isMade = query.stream(request, into: stream.assumingMemoryBound(to: ArrowArrayStream.self))
    return isMade ? 0 : Recorders.fail(Status.cannotRead, "out of memory")
  } catch {
    return failed(error)
  }
}

@_cdecl("tasklog_log_interrupt")
public func tasklogLogInterrupt(_ stream: UnsafeMutableRawPointer?) {
  // The caller says that it is a stream of `tasklog_log_query`, which has not been released.
  guard let stream,
    let context = tl_stream_context(stream.assumingMemoryBound(to: ArrowArrayStream.self))
  else { return }
  Unmanaged<LogQuery>.fromOpaque(context).takeUnretainedValue().interrupt()
}

@_cdecl("tasklog_box")
public func tasklogBox(
  _ kind: Int32, _ source: UnsafeMutableRawPointer?, _ getPointer: UnsafeMutableRawPointer?,
  _ destructor: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> UnsafeMutableRawPointer? {
  guard let source, let getPointer, let destructor else { return nil }
  return tl_box(kind, source, getPointer, destructor)
}

@_cdecl("tasklog_free")
public func tasklogFree(_ text: UnsafeMutableRawPointer?) { free(text) }

private func notOpen(_ log: Int64) -> Int32 {
  Recorders.fail(Status.badHandle, "\(log) is not an open log")
}
