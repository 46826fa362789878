//===----------------------------------------------------------------------===//
// TaskLogC: the recorder and the reader for hosts in other languages, as a dynamic library with a C ABI.
//
// What it does: opens a recorder, stores events that its caller has encoded, closes it; opens logs, and
// runs SQL whose rows are Arrow record batches. The functions are declared in `tasklog.h`.
//
// What it may import: AMQP, Recording and the modules below it. No Foundation and no Swift
// Concurrency, so that it can be loaded into any process and survives a fork of it.
//
// What it promises: no argument makes it trap, as long as pointers point at memory of the given
// size. A recorder is a handle, never a pointer. A failed function returns a negative number, and
// `tasklog_last_error` has the message.
//===----------------------------------------------------------------------===//
import Glibc
import LogFormat
import Recording
import TaskLogPlugin

/// The negative status codes of failed functions.
enum Status {
  static let badArgument: Int32 = -1
  static let badHandle: Int32 = -2
  static let cannotWrite: Int32 = -3
  static let closed: Int32 = -4
  static let disabled: Int32 = -5
  static let timeout: Int32 = -6
  static let cannotRead: Int32 = -7
}

/// The version of this interface; incremented when a function changes.
@_cdecl("tasklog_abi")
public func tasklogABI() -> Int32 { 1 }

@_cdecl("tasklog_open")
public func tasklogOpen(_ log: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?) -> Int64 {
  guard !Recorder.isDisabled else {
    return Int64(Recorders.fail(Status.disabled, "TASKLOG_DISABLED is 1"))
  }
  do {
    let (options, publishingOptions) = try OptionsReader.options(
      options.map { String(cString: $0) } ?? "{}")
    let publishing = try publishingOptions.destination()
    let recorder: Recorder
    if let log, log.pointee != 0 {
      recorder = try Recorder(log: String(cString: log), options: options, publishing: publishing)
    } else if let publishing {
      recorder = try Recorder(publishing: publishing, options: options)
    } else {
      return Int64(Recorders.fail(Status.badArgument, "expected a log, or a broker"))
    }
    return Recorders.current.add(OpenRecorder(recorder))
  } catch let error as OptionsError {
    return Int64(Recorders.fail(Status.badArgument, error.description))
  } catch let error as RecordingError {
    return Int64(Recorders.fail(Status.badArgument, error.description))
  } catch {
    return Int64(Recorders.fail(Status.cannotWrite, "\(error)"))
  }
}

@_cdecl("tasklog_run")
public func tasklogRun(
  _ recorder: Int64, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
  guard let openRecorder = Recorders.current[recorder] else {
    return Int(Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder"))
  }
  return copy(openRecorder.recorder.runID, buffer, capacity)
}

@_cdecl("tasklog_path")
public func tasklogPath(
  _ recorder: Int64, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
  guard let openRecorder = Recorders.current[recorder] else {
    return Int(Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder"))
  }
  return copy(openRecorder.recorder.log, buffer, capacity)
}

@_cdecl("tasklog_source")
public func tasklogSource(
  _ recorder: Int64, _ kind: UnsafePointer<CChar>?, _ id: UnsafePointer<CChar>?,
  _ address: UnsafePointer<CChar>?, _ name: UnsafePointer<CChar>?
) -> Int32 {
  guard let openRecorder = Recorders.current[recorder] else {
    return Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder")
  }
  guard let kind, let kind = Source.Kind(rawValue: String(cString: kind)) else {
    return Recorders.fail(Status.badArgument, "a source must be a 'scheduler' or 'worker'")
  }
  guard let id, id.pointee != 0, let address else {
    return Recorders.fail(Status.badArgument, "a source needs an id and an address")
  }
  guard let value = sourceName(name) else {
    return Recorders.fail(Status.badArgument, "the name of a source is not JSON")
  }
  let source = Source(
    kind: kind, id: String(cString: id), address: String(cString: address), name: value)
  guard let index = openRecorder.add(source) else {
    return Recorders.fail(Status.closed, "the recorder is closed")
  }
  return index
}

@_cdecl("tasklog_put")
public func tasklogPut(
  _ recorder: Int64, _ source: Int32, _ event: UnsafeRawPointer?, _ length: Int
) -> Int64 {
  put(recorder, source, event, length) { channel, bytes in
    guard bytes.count > 10, bytes[0] == 0x9A else { return Int64(Status.badArgument) }
    return channel.put(bytes) ?? Int64(Status.closed)
  }
}

@_cdecl("tasklog_put_records")
public func tasklogPutRecords(
  _ recorder: Int64, _ source: Int32, _ records: UnsafeRawPointer?, _ length: Int
) -> Int64 {
  put(recorder, source, records, length) { channel, bytes in
    channel.put(records: bytes) ?? Int64(Status.closed)
  }
}

/// The C caller has the bytes ready, and only these arguments.
/// The name of a source, given as JSON; `nil` if it is not JSON.
private func sourceName(_ json: UnsafePointer<CChar>?) -> Value? {
  guard let json else { return .null }
  return try? JSONReader.value(String(cString: json))
}

@_cdecl("tasklog_put_left")
public func tasklogPutLeft(
  _ recorder: Int64, _ run: UnsafePointer<CChar>?, _ id: UnsafePointer<CChar>?,
  _ address: UnsafePointer<CChar>?, _ name: UnsafePointer<CChar>?,
  _ records: UnsafeRawPointer?, _ length: Int
) -> Int32 {
  guard let openRecorder = Recorders.current[recorder] else {
    return Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder")
  }
  guard let run, let id, id.pointee != 0, let address, let records, length > 0, length < 1 << 31
  else { return Recorders.fail(Status.badArgument, "expected a run, a source and records") }
  guard let value = sourceName(name) else {
    return Recorders.fail(Status.badArgument, "the name of a source is not JSON")
  }
  let source = Source(
    kind: .worker, id: String(cString: id), address: String(cString: address), name: value)
  do {
    let isThere = try openRecorder.recorder.put(
      records: UnsafeRawBufferPointer(start: records, count: length), of: source,
      run: String(cString: run))
    return isThere
      ? 0 : Recorders.fail(Status.badArgument, "the run is not in this log, or is not over")
  } catch {
    return Recorders.fail(Status.cannotWrite, "\(error)")
  }
}

@inline(__always)
private func put(
  _ recorder: Int64, _ source: Int32, _ start: UnsafeRawPointer?, _ length: Int,
  _ body: (EncodedChannel, UnsafeRawBufferPointer) -> Int64
) -> Int64 {
  guard let channel = Recorders.current.channel(recorder, source) else {
    return Int64(Recorders.fail(Status.badHandle, "unknown recorder or source"))
  }
  guard let start, length > 0, length < 1 << 31 else {
    return Int64(Recorders.fail(Status.badArgument, "expected bytes"))
  }
  let result = body(channel, UnsafeRawBufferPointer(start: start, count: length))
  if result == Status.badArgument { Recorders.setError("not an encoded event") }
  if result == Status.closed { Recorders.setError("the recorder is closed") }
  return result
}

@_cdecl("tasklog_gap")
public func tasklogGap(
  _ recorder: Int64, _ source: Int32, _ count: Int64, _ reason: UnsafePointer<CChar>?
) -> Int32 {
  guard let channel = Recorders.current[recorder]?[source] else {
    return Recorders.fail(Status.badHandle, "unknown recorder or source")
  }
  guard count > 0, count < 1 << 48, let reason else {
    return Recorders.fail(Status.badArgument, "a gap needs a count and a reason")
  }
  channel.putGap(count, reason: String(cString: reason))
  return 0
}

@_cdecl("tasklog_flush")
public func tasklogFlush(_ recorder: Int64, _ seconds: Double) -> Int32 {
  guard let openRecorder = Recorders.current[recorder] else {
    return Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder")
  }
  guard seconds >= 0 else {
    return Recorders.fail(Status.badArgument, "the timeout must not be negative")
  }
  return openRecorder.recorder.flush(timeoutSeconds: seconds)
    ? 0 : Recorders.fail(Status.timeout, "timed out before everything was stored")
}

@_cdecl("tasklog_counters")
public func tasklogCounters(
  _ recorder: Int64, _ source: Int32, _ counters: UnsafeMutablePointer<Int64>?, _ capacity: Int
) -> Int32 {
  guard let channel = Recorders.current[recorder]?[source] else {
    return Recorders.fail(Status.badHandle, "unknown recorder or source")
  }
  guard let counters, capacity > 0 else {
    return Recorders.fail(Status.badArgument, "no buffer for counters")
  }
  let counts = channel.counts
  let values = [counts.sourceSeq, counts.lost]
  let count = min(values.count, capacity)
  for index in 0..<count { counters[index] = values[index] }
  return Int32(count)
}

@_cdecl("tasklog_status")
public func tasklogStatus(
  _ recorder: Int64, _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  guard let openRecorder = Recorders.current[recorder] else {
    return Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder")
  }
  guard let text else { return Recorders.fail(Status.badArgument, "expected a place for the text") }
  guard let status = openRecorder.recorder.status else {
    return Recorders.fail(Status.badArgument, "\(recorder) records into no log")
  }
  text.pointee = strdup(status.json)
  return 0
}

@_cdecl("tasklog_close")
public func tasklogClose(_ recorder: Int64) -> Int32 {
  guard let openRecorder = Recorders.current.remove(recorder) else {
    return Recorders.fail(Status.badHandle, "\(recorder) is not an open recorder")
  }
  openRecorder.recorder.close()
  return 0
}

@_cdecl("tasklog_last_error")
public func tasklogLastError(_ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int {
  copy(Recorders.lastError, buffer, capacity)
}

/// Copies text with a NUL at its end, truncated to the buffer; returns its full length.
private func copy(
  _ text: String, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
  let bytes = Array(text.utf8)
  guard let buffer, capacity > 0 else { return bytes.count }
  let count = min(bytes.count, capacity - 1)
  for index in 0..<count { buffer[index] = CChar(bitPattern: bytes[index]) }
  buffer[count] = 0
  return bytes.count
}
