//===----------------------------------------------------------------------===//
// TaskLogC: the recorder for hosts in other languages, as a dynamic library with a C ABI.
//
// What it does: opens a recorder, takes in events that its caller has encoded, closes it. What can be
// called is in `tasklog.h`.
//
// What it may import: AMQP, Recording and what lies below it. Nothing from Foundation, no Swift
// Concurrency, so that it can be loaded into any process and survives a fork of it.
//
// What it promises: no argument makes it trap, as long as pointers point at what they say. A recorder
// is a number, never a pointer. What fails says so with a negative number, and `tasklog_last_error`
// has the words.
//===----------------------------------------------------------------------===//
import LogFormat
import Recording
import TaskLogPlugin

/// What a function answers that could not do what was asked.
enum Answer {
  static let badArgument: Int32 = -1
  static let badHandle: Int32 = -2
  static let cannotWrite: Int32 = -3
  static let closed: Int32 = -4
  static let disabled: Int32 = -5
  static let timeout: Int32 = -6
}

/// The version of this interface; goes up when a function changes.
@_cdecl("tasklog_abi")
public func tasklogABI() -> Int32 { 1 }

@_cdecl("tasklog_open")
public func tasklogOpen(_ log: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?) -> Int64 {
  guard !Recorder.isDisabled else {
    return Int64(Recorders.fail(Answer.disabled, "TASKLOG_DISABLED is 1"))
  }
  do {
    let (options, publishingOptions) = try OptionsReader.options(
      options.map { String(cString: $0) } ?? "{}")
    let publishing = try publishingOptions.publishing()
    let recorder: Recorder
    if let log, log.pointee != 0 {
      recorder = try Recorder(log: String(cString: log), options: options, publishing: publishing)
    } else if let publishing {
      recorder = try Recorder(publishing: publishing, options: options)
    } else {
      return Int64(Recorders.fail(Answer.badArgument, "no log"))
    }
    return Recorders.current.add(OpenRecorder(recorder))
  } catch let error as OptionsError {
    return Int64(Recorders.fail(Answer.badArgument, error.description))
  } catch let error as RecordingError {
    return Int64(Recorders.fail(Answer.badArgument, error.description))
  } catch {
    return Int64(Recorders.fail(Answer.cannotWrite, "\(error)"))
  }
}

@_cdecl("tasklog_run")
public func tasklogRun(
  _ recorder: Int64, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
  guard let open = Recorders.current[recorder] else {
    return Int(Recorders.fail(Answer.badHandle, "\(recorder) is no open recorder"))
  }
  return copy(open.recorder.runID, buffer, capacity)
}

@_cdecl("tasklog_source")
public func tasklogSource(
  _ recorder: Int64, _ kind: UnsafePointer<CChar>?, _ id: UnsafePointer<CChar>?,
  _ address: UnsafePointer<CChar>?, _ name: UnsafePointer<CChar>?
) -> Int32 {
  guard let open = Recorders.current[recorder] else {
    return Recorders.fail(Answer.badHandle, "\(recorder) is no open recorder")
  }
  guard let kind, let kind = Source.Kind(rawValue: String(cString: kind)) else {
    return Recorders.fail(Answer.badArgument, "a source is a 'scheduler' or a 'worker'")
  }
  guard let id, id.pointee != 0, let address else {
    return Recorders.fail(Answer.badArgument, "a source needs an id and an address")
  }
  var value = Value.null
  if let name {
    guard let read = try? JSONReader.value(String(cString: name)) else {
      return Recorders.fail(Answer.badArgument, "the name of a source is not JSON")
    }
    value = read
  }
  let source = Source(
    kind: kind, id: String(cString: id), address: String(cString: address), name: value)
  guard let number = open.add(source) else {
    return Recorders.fail(Answer.closed, "the recorder is closed")
  }
  return number
}

@_cdecl("tasklog_put")
public func tasklogPut(
  _ recorder: Int64, _ source: Int32, _ event: UnsafeRawPointer?, _ length: Int
) -> Int64 {
  put(recorder, source, event, length) { channel, bytes in
    guard bytes.count > 10, bytes[0] == 0x9A else { return Int64(Answer.badArgument) }
    return channel.put(bytes) ?? Int64(Answer.closed)
  }
}

@_cdecl("tasklog_put_records")
public func tasklogPutRecords(
  _ recorder: Int64, _ source: Int32, _ records: UnsafeRawPointer?, _ length: Int
) -> Int64 {
  put(recorder, source, records, length) { channel, bytes in
    channel.put(records: bytes) ?? Int64(Answer.closed)
  }
}

/// A C caller has the bytes ready, and no more than these arguments.
@_cdecl("tasklog_put_left")
public func tasklogPutLeft(
  _ recorder: Int64, _ run: UnsafePointer<CChar>?, _ id: UnsafePointer<CChar>?,
  _ address: UnsafePointer<CChar>?, _ name: UnsafePointer<CChar>?,
  _ records: UnsafeRawPointer?, _ length: Int
) -> Int32 {
  guard let open = Recorders.current[recorder] else {
    return Recorders.fail(Answer.badHandle, "\(recorder) is no open recorder")
  }
  guard let run, let id, id.pointee != 0, let address, let records, length > 0, length < 1 << 31
  else { return Recorders.fail(Answer.badArgument, "no run, no source or no bytes") }
  let source = Source(
    kind: .worker, id: String(cString: id), address: String(cString: address),
    name: name.flatMap { try? JSONReader.value(String(cString: $0)) } ?? .null)
  do {
    let isThere = try open.recorder.put(
      records: UnsafeRawBufferPointer(start: records, count: length), of: source,
      run: String(cString: run))
    return isThere
      ? 0 : Recorders.fail(Answer.badArgument, "the run is not in this log, or still recorded")
  } catch {
    return Recorders.fail(Answer.cannotWrite, "\(error)")
  }
}

@inline(__always)
private func put(
  _ recorder: Int64, _ source: Int32, _ start: UnsafeRawPointer?, _ length: Int,
  _ body: (EncodedChannel, UnsafeRawBufferPointer) -> Int64
) -> Int64 {
  guard let channel = Recorders.current.channel(recorder, source) else {
    return Int64(Recorders.fail(Answer.badHandle, "no such recorder or source"))
  }
  guard let start, length > 0, length < 1 << 31 else {
    return Int64(Recorders.fail(Answer.badArgument, "no bytes"))
  }
  let answer = body(channel, UnsafeRawBufferPointer(start: start, count: length))
  if answer == Answer.badArgument { Recorders.note("this is no encoded event") }
  if answer == Answer.closed { Recorders.note("the recorder takes nothing in any more") }
  return answer
}

@_cdecl("tasklog_gap")
public func tasklogGap(
  _ recorder: Int64, _ source: Int32, _ count: Int64, _ reason: UnsafePointer<CChar>?
) -> Int32 {
  guard let channel = Recorders.current[recorder]?[source] else {
    return Recorders.fail(Answer.badHandle, "no such recorder or source")
  }
  guard count > 0, count < 1 << 48, let reason else {
    return Recorders.fail(Answer.badArgument, "a gap needs a count and a reason")
  }
  channel.putGap(count, reason: String(cString: reason))
  return 0
}

@_cdecl("tasklog_flush")
public func tasklogFlush(_ recorder: Int64, _ seconds: Double) -> Int32 {
  guard let open = Recorders.current[recorder] else {
    return Recorders.fail(Answer.badHandle, "\(recorder) is no open recorder")
  }
  guard seconds >= 0 else { return Recorders.fail(Answer.badArgument, "no time to wait") }
  return open.recorder.flush(timeoutSeconds: seconds)
    ? 0 : Recorders.fail(Answer.timeout, "not everything is where it belongs yet")
}

@_cdecl("tasklog_counters")
public func tasklogCounters(
  _ recorder: Int64, _ source: Int32, _ counters: UnsafeMutablePointer<Int64>?, _ capacity: Int
) -> Int32 {
  guard let channel = Recorders.current[recorder]?[source] else {
    return Recorders.fail(Answer.badHandle, "no such recorder or source")
  }
  guard let counters, capacity > 0 else {
    return Recorders.fail(Answer.badArgument, "no place for counters")
  }
  let counts = channel.counts
  let values = [counts.sourceSeq, counts.lost]
  let count = min(values.count, capacity)
  for place in 0..<count { counters[place] = values[place] }
  return Int32(count)
}

@_cdecl("tasklog_close")
public func tasklogClose(_ recorder: Int64) -> Int32 {
  guard let open = Recorders.current.remove(recorder) else {
    return Recorders.fail(Answer.badHandle, "\(recorder) is no open recorder")
  }
  open.recorder.close()
  return 0
}

@_cdecl("tasklog_last_error")
public func tasklogLastError(_ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int {
  copy(Recorders.current.lastError, buffer, capacity)
}

/// Copies text with a NUL at its end, as much as there is room for; gives its whole length.
private func copy(
  _ text: String, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int {
  let bytes = Array(text.utf8)
  guard let buffer, capacity > 0 else { return bytes.count }
  let count = min(bytes.count, capacity - 1)
  for place in 0..<count { buffer[place] = CChar(bitPattern: bytes[place]) }
  buffer[count] = 0
  return bytes.count
}
