import Glibc

/// Hides the passwords of addresses such as `amqp://user:password@host`.
enum Passwords {
  private static let schemes = ["amqp://", "amqps://"]

  /// The text with each password replaced by "…".
  static func hidden(in text: String) -> String {
    guard text.contains("://") else { return text }
    var bytes = Array(text.utf8)
    var ranges: [Range<Int>] = []
    bytes.withUnsafeBufferPointer { find(in: $0) { ranges.append($0) } }
    for range in ranges.reversed() { bytes.replaceSubrange(range, with: "…".utf8) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Overwrites the passwords in the memory with the arguments of this process, which tools such as
  /// `ps` show: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html (arg_start, arg_end).
  ///
  /// Invariant: only the kernel reads this memory, because Swift has already copied the arguments.
  static func hideFromOthers() {
    guard CommandLine.arguments.contains(where: { $0.contains("://") }),
      let memory = argumentMemory()
    else { return }
    find(in: UnsafeBufferPointer(memory)) { range in
      for index in range { memory[index] = UInt8(ascii: "x") }
    }
  }

  private static func argumentMemory() -> UnsafeMutableBufferPointer<UInt8>? {
    guard let file = fopen("/proc/self/stat", "r") else { return nil }
    defer { fclose(file) }
    var text = [UInt8](repeating: 0, count: 4096)
    let count = fread(&text, 1, text.count, file)
    // The second field, a name in parentheses, may contain any character.
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

  /// Calls `body` with the range of each password: from after the first colon that follows the
  /// scheme up to the last `@` of the same word.
  private static func find(
    in text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void
  ) {
    var position = 0
    while position < text.count {
      guard let scheme = schemes.first(where: { starts(text, with: $0, at: position) }) else {
        position += 1
        continue
      }
      let start = position + scheme.utf8.count
      let end = text[start...].firstIndex { $0 <= 0x20 } ?? text.count
      if let at = text[start..<end].lastIndex(of: UInt8(ascii: "@")),
        let colon = text[start..<at].firstIndex(of: UInt8(ascii: ":"))
      {
        // Except the placeholder in help texts.
        if !text[start..<end].starts(with: "user:password@host".utf8) { body(colon + 1..<at) }
      }
      position = end
    }
  }

  private static func starts(
    _ text: UnsafeBufferPointer<UInt8>, with scheme: String, at position: Int
  ) -> Bool {
    text.count - position >= scheme.utf8.count && text[position...].starts(with: scheme.utf8)
  }
}
