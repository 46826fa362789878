import Glibc

/// Keeps the passwords of addresses such as `amqp://user:password@host` from being seen.
enum Passwords {
  private static let schemes = ["amqp://", "amqps://"]

  /// A text in which dots stand for each password.
  static func hidden(in text: String) -> String {
    guard text.contains("://") else { return text }
    var bytes = Array(text.utf8)
    var ranges: [Range<Int>] = []
    bytes.withUnsafeBufferPointer { find(in: $0) { ranges.append($0) } }
    for range in ranges.reversed() { bytes.replaceSubrange(range, with: "…".utf8) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Overwrites them in what tools such as `ps` show of this process, which is the memory where its
  /// arguments lie: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html (arg_start, arg_end).
  ///
  /// Invariant: nobody but the kernel reads that memory, as Swift has made its own copy before.
  static func hideFromOthers() {
    guard CommandLine.arguments.contains(where: { $0.contains("://") }),
      let memory = argumentMemory()
    else { return }
    find(in: UnsafeBufferPointer(memory)) { range in
      for place in range { memory[place] = UInt8(ascii: "x") }
    }
  }

  private static func argumentMemory() -> UnsafeMutableBufferPointer<UInt8>? {
    guard let file = fopen("/proc/self/stat", "r") else { return nil }
    defer { fclose(file) }
    var text = [UInt8](repeating: 0, count: 4096)
    let count = fread(&text, 1, text.count, file)
    // The second field, a name in brackets, may hold anything.
    guard let end = text[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = text[(end + 1)..<count].split(separator: UInt8(ascii: " "))
    guard fields.count > 46, let start = number(fields[45]), let end = number(fields[46]),
      start > 0, end > start, end - start < 1 << 24
    else { return nil }
    return UnsafeMutableBufferPointer(
      start: UnsafeMutablePointer(bitPattern: start), count: Int(end - start))
  }

  private static func number(_ field: ArraySlice<UInt8>) -> UInt? {
    UInt(String(decoding: field, as: UTF8.self))
  }

  /// The places of passwords: from behind the first colon after the scheme up to the last `@` of the
  /// same word.
  private static func find(
    in text: UnsafeBufferPointer<UInt8>, _ found: (Range<Int>) -> Void
  ) {
    var place = 0
    while place < text.count {
      guard let scheme = schemes.first(where: { starts(text, with: $0, at: place) }) else {
        place += 1
        continue
      }
      let start = place + scheme.utf8.count
      let end = text[start...].firstIndex { $0 <= 0x20 } ?? text.count
      if let at = text[start..<end].lastIndex(of: UInt8(ascii: "@")),
        let colon = text[start..<at].firstIndex(of: UInt8(ascii: ":"))
      {
        // What stands for one where it is said how an address is written.
        if !text[start..<end].starts(with: "user:password@host".utf8) { found(colon + 1..<at) }
      }
      place = end
    }
  }

  private static func starts(
    _ text: UnsafeBufferPointer<UInt8>, with scheme: String, at place: Int
  ) -> Bool {
    text.count - place >= scheme.utf8.count && text[place...].starts(with: scheme.utf8)
  }
}
