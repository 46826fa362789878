import Glibc
import TaskLogPlugin

/// How a recorder is doing: a file in its folder, which it writes every second and others read.
package struct RecorderStatus: Sendable, Equatable {
  /// When this was written, and when the log was written last; nanoseconds since 1970 UTC.
  package var time: Int64 = 0
  package var committed: Int64?
  /// For how long events have been waiting to be written to the log, in nanoseconds; 0 if none are.
  package var lag: Int64 = 0
  /// The size of the spool, and at which size events are dropped, in bytes.
  package var spoolBytes: Int64 = 0
  package var spoolLimit: Int64 = 0
  /// Where copies of the log are delivered; `nil` if they are not.
  package var destination: String?
  package var copies: Int64 = 0
  package var failures: Int64 = 0
  /// When the last copy that was delivered was made; nanoseconds since 1970 UTC.
  package var delivered: Int64?
  /// Since when nothing could be delivered, and why.
  package var failingSince: Int64?
  package var deliveryError: String?

  package init() {}

  /// The names that users see, with the values.
  package var fields: [(name: String, value: Value)] {
    func number(_ value: Int64?) -> Value { value.map { .int($0) } ?? .null }
    func text(_ value: String?) -> Value { value.map { .string($0) } ?? .null }
    return [
      ("time", .int(time)), ("committed", number(committed)), ("lag", .int(lag)),
      ("spool_bytes", .int(spoolBytes)), ("spool_limit", .int(spoolLimit)),
      ("destination", text(destination)), ("copies", .int(copies)),
      ("delivery_failures", .int(failures)), ("delivered", number(delivered)),
      ("delivery_failing_since", number(failingSince)), ("delivery_error", text(deliveryError)),
    ]
  }

  package var json: String {
    JSONWriter.text(.dict(fields.map { .init(.string($0.name), $0.value) }))
  }

  // MARK: - The file

  private static let name = "status"
  private static let maximumBytes = 16_384

  /// Whether a file in the folder of a recorder is this one.
  package static func isName(_ name: String) -> Bool {
    name == Self.name || name == Self.name + ".new"
  }

  /// Writes the file; a failure leaves the former one.
  package func write(in folder: String) {
    let (path, fresh) = ("\(folder)/\(Self.name)", "\(folder)/\(Self.name).new")
    let descriptor = open(fresh, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return }
    let bytes = Array(json.utf8)
    let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    if count != bytes.count || rename(fresh, path) != 0 { unlink(fresh) }
  }

  package static func remove(from folder: String) {
    for ending in ["", ".new"] { unlink("\(folder)/\(name)\(ending)") }
  }

  /// Reads the file of a run's recorder next to a log; `nil` if there is none.
  package init?(log path: String, run: String) {
    guard let folder = RecorderLock.folder(log: path, run: run) else { return nil }
    let descriptor = open(
      "\(folder)/\(Self.name)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: Self.maximumBytes)
    let count = read(descriptor, &bytes, bytes.count)
    guard count > 0,
      let value = try? JSONReader.value(String(decoding: bytes[..<count], as: UTF8.self))
    else { return nil }
    func number(_ name: String) -> Int64? { value[name]?.int }
    guard let time = number("time") else { return nil }
    self.time = time
    committed = number("committed")
    lag = number("lag") ?? 0
    spoolBytes = number("spool_bytes") ?? 0
    spoolLimit = number("spool_limit") ?? 0
    destination = value["destination"]?.string
    copies = number("copies") ?? 0
    failures = number("delivery_failures") ?? 0
    delivered = number("delivered")
    failingSince = number("delivery_failing_since")
    deliveryError = value["delivery_error"]?.string
  }
}
