/// The parts of an address such as `tcp://10.0.0.1:4000`, `tcp://[::1]:80` or `inproc://host/12/3`.
struct AddressForm {
  var scheme: String
  var host: String
  var isBracketed = false
  /// The number of the process, of an address within one.
  var processID: Int64?
  /// The port, or the number within the process, with what separates it.
  var rest = ""

  private static let schemes: Set<String> = [
    "tcp", "tls", "ucx", "ucxx", "inproc", "ws", "wss", "http", "https",
  ]

  /// `nil` for text that is no address, and for addresses with anything else in them.
  init?(_ text: String) {
    guard let separator = text.firstRange(of: "://") else { return nil }
    scheme = String(text[..<separator.lowerBound])
    guard Self.schemes.contains(scheme) else { return nil }
    let place = text[separator.upperBound...]
    if scheme == "inproc" {
      let parts = place.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2 || parts.count == 3, let id = Int64(parts[1]),
        parts.count == 2 || Self.isNumber(parts[2])
      else { return nil }
      (host, processID) = (String(parts[0]), id)
      if parts.count == 3 { rest = "/" + parts[2] }
      return
    }
    if place.first == "[" {
      guard let end = place.firstIndex(of: "]") else { return nil }
      host = String(place[..<end].dropFirst())
      isBracketed = true
      rest = String(place[end...].dropFirst())
    } else {
      host = String(place.prefix { $0 != ":" })
      rest = String(place.dropFirst(host.count))
    }
    guard !host.contains(where: { "/@?# ".contains($0) }), rest.isEmpty || Self.isPort(rest[...])
    else { return nil }
  }

  private static func isPort(_ text: Substring) -> Bool {
    text.first == ":" && text.utf8.count <= 6 && isNumber(text.dropFirst())
  }

  private static func isNumber(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.utf8.count <= 10 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
  }
}

/// The forms in which a host is named.
enum HostForm {
  case version4, version6, name
  /// The machine itself, whichever it is.
  case own

  private static let ownNames: Set<String> = ["localhost", "127.0.0.1", "0.0.0.0", "::1", "::"]

  init(_ text: String) {
    if Self.ownNames.contains(text) {
      self = .own
    } else if Self.isVersion4(text) {
      self = .version4
    } else if text.utf8.count(where: { $0 == UInt8(ascii: ":") }) >= 2, text.utf8.count <= 45,
      text.utf8.allSatisfy({ Self.isOfVersion6.contains($0) })
    {
      self = .version6
    } else {
      self = .name
    }
  }

  private static let isOfVersion6 = Set("0123456789abcdefABCDEF:.".utf8)

  private static func isVersion4(_ text: String) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
          && Int(part).map { $0 < 256 } == true
      }
  }

  /// A private address of this form, from a random number.
  func pseudonym(_ number: UInt64) -> String {
    func part(_ shift: Int, _ mask: UInt64) -> UInt64 { number >> UInt64(shift) & mask }
    if self == .version4 { return "10.\(part(0, 255)).\(part(8, 255)).\(part(16, 255))" }
    let groups = [0, 16, 32].map { String(part($0, 0xFFFF), radix: 16) }
    return "fd00::" + groups.joined(separator: ":")
  }
}

/// How the ids of servers, clients, spans and computations are written after what says whose they are.
enum ServerIDForm {
  /// 8-4-4-4-12 hexadecimal digits.
  case uuid
  /// 32 hexadecimal digits.
  case digits

  /// The longest first.
  static let kinds = ["Client-worker-", "Scheduler-", "Worker-", "Client-", "Nanny-", ""]

  init?(_ text: Substring) {
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    let isHexadecimal = parts.allSatisfy { $0.allSatisfy(Self.isHexadecimal) }
    guard isHexadecimal else { return nil }
    switch parts.map(\.count) {
    case [8, 4, 4, 4, 12]: self = .uuid
    case [32]: self = .digits
    default: return nil
    }
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }

  /// An id of this form from hexadecimal digits.
  func text(of digits: String) -> String {
    guard self == .uuid else { return String(digits.prefix(32)) }
    var text = ""
    for (index, digit) in digits.prefix(32).enumerated() {
      if [8, 12, 16, 20].contains(index) { text += "-" }
      text.append(digit)
    }
    return text
  }
}
