import LogFormat
import TaskLogPlugin

/// The pseudonyms of one anonymised copy.
///
/// A name has the same pseudonym everywhere in the copy. It follows from the name and a random secret,
/// which is nowhere stored: who knows a name cannot compute its pseudonym, and two copies of one log
/// have nothing in common.
package final class Pseudonyms {
  package let keys: KeyPseudonyms
  private let secret: [UInt8]
  private let keepsExceptions: Bool
  private var names: [Key: String] = [:]
  private var hosts: [Key: String] = [:]
  private var usedHosts: Set<String> = []
  private var processes: [Int64: Int64] = [:]
  private var usedProcesses: Set<Int64> = []
  private var exceptions: [Key: String] = [:]

  /// - Parameter secret: random bytes; given by tests only.
  package init(keeping kept: Set<KeptName> = [], secret: [UInt8]? = nil) {
    var generator = SystemRandomNumberGenerator()
    self.secret =
      secret ?? (0..<64).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    keepsExceptions = kept.contains(.exceptions)
    keys = KeyPseudonyms(isKeeping: kept.contains(.keys))
  }

  /// How many different names have got a pseudonym.
  package var nameCount: Int { names.count }
  package var hostCount: Int { hosts.count }
  package var exceptionCount: Int { exceptions.count }

  /// 64 hexadecimal digits that only the secret can reproduce: HMAC-SHA-256 (RFC 2104), the inner
  /// digest as hexadecimal text.
  private func digest(_ bytes: some Sequence<UInt8>, of domain: Domain) -> String {
    let inner = SHA256.hash(secret.map { $0 ^ 0x36 } + [domain.rawValue] + bytes)
    return SHA256.hash(secret.map { $0 ^ 0x5C } + inner.utf8)
  }

  /// Names of different kinds that happen to be equal get unrelated pseudonyms, except where a reader
  /// compares them.
  private enum Domain: UInt8 {
    case name, host, process, exceptionType, exceptionText, run
  }

  /// The first hexadecimal digits of a digest as a number.
  private func number(_ digest: String) -> UInt64 { UInt64(digest.prefix(15), radix: 16) ?? 0 }

  // MARK: - Names

  /// The pseudonym of any text that is not known to be harmless.
  ///
  /// Keys, prefixes and groups have theirs wherever they occur; addresses, hosts, and ids of Dask
  /// keep their form.
  package func name(_ text: String) -> String {
    if text.isEmpty { return text }
    if let pseudonym = keys.pseudonym(ofKnown: text) { return pseudonym }
    let key = Key(text)
    if let known = names[key] { return known }
    if let address = address(text) { return address }
    if HostForm(text) != .name { return host(text) }
    let pseudonym = identifier(text) ?? "n" + digest(text.utf8, of: .name).prefix(16)
    names[key] = pseudonym
    return pseudonym
  }

  /// The same for text with lone surrogates.
  package func name(wtf8 bytes: [UInt8]) -> String { "n" + digest(bytes, of: .name).prefix(16) }

  /// The pseudonym of `Worker-` and a UUID, or only a UUID.
  private func identifier(_ text: String) -> String? {
    for kind in ServerIDForm.kinds where text.hasPrefix(kind) {
      let id = text.dropFirst(kind.count)
      guard let form = ServerIDForm(id) else { continue }
      return kind + form.text(of: digest(text.utf8, of: .name))
    }
    return nil
  }

  /// The id of a copied run: of the same time, so that ids still sort by it, and otherwise another, so
  /// that the copy is never taken for a part of the original.
  package func runID(_ id: String) -> String {
    guard ServerIDForm(id[...]) == .uuid else { return RunID.make() }
    let digits = Array(digest(id.utf8, of: .run))
    // The time, with its fraction of a millisecond, and the version; then the variant.
    return String(id.prefix(19)) + "8" + String(digits[0..<3]) + "-" + String(digits[3..<15])
  }

  // MARK: - Places

  /// The pseudonym of an address such as `tcp://10.0.0.1:4000`; `nil` if it is none.
  package func address(_ text: String) -> String? {
    guard let address = AddressForm(text) else { return nil }
    let processID = address.processID.map { "/\(process($0))" } ?? ""
    let name = host(address.host)
    return address.scheme + "://" + (address.isBracketed ? "[\(name)]" : name) + processID
      + address.rest
  }

  /// The pseudonym of a host: one of the same form. Names of the machine itself stay.
  package func host(_ text: String) -> String {
    let form = HostForm(text)
    if form == .own || text.isEmpty { return text }
    if form == .name { return name(text) }
    let key = Key(text)
    if let known = hosts[key] { return known }
    var attempt = 0
    while true {
      let number = number(digest("\(attempt) \(text)".utf8, of: .host))
      let pseudonym = form.pseudonym(number)
      if usedHosts.insert(pseudonym).inserted {
        hosts[key] = pseudonym
        return pseudonym
      }
      attempt += 1
    }
  }

  /// The pseudonym of the number of a process.
  package func process(_ number: Int64) -> Int64 {
    guard number > 0 else { return number }
    if let known = processes[number] { return known }
    var attempt = 0
    while true {
      let digest = digest("\(attempt) \(number)".utf8, of: .process)
      // https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html (`pid_max`)
      let pseudonym = Int64(self.number(digest) % ((1 << 22) - 2)) + 1
      if usedProcesses.insert(pseudonym).inserted {
        processes[number] = pseudonym
        return pseudonym
      }
      attempt += 1
    }
  }

  // MARK: - Exceptions

  /// The pseudonym of the text of an exception, `Type('message')` or `Type: message`. Equal types and
  /// equal messages stay equal.
  package func exception(_ text: String) -> String {
    if text.isEmpty || keepsExceptions { return text }
    let key = Key(text)
    if let known = exceptions[key] { return known }
    let name = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
    let message = text.dropFirst(name.count)
    let pseudonym: String
    if !name.isEmpty, message.first == "(" {
      pseudonym =
        exceptionType(String(name))
        + (message == "()" ? "()" : "('\(digest(message.utf8, of: .exceptionText).prefix(12))')")
    } else if !name.isEmpty, message.hasPrefix(": ") {
      pseudonym =
        exceptionType(String(name)) + ": "
        + digest(message.utf8, of: .exceptionText).prefix(12)
    } else if !name.isEmpty, message.isEmpty {
      pseudonym = exceptionType(String(name))
    } else {
      pseudonym = "n" + digest(text.utf8, of: .exceptionText).prefix(16)
    }
    exceptions[key] = pseudonym
    return pseudonym
  }

  /// The pseudonym of the type of an exception.
  package func exceptionType(_ name: String) -> String {
    keepsExceptions ? name : "E" + digest(name.utf8, of: .exceptionType).prefix(8)
  }

  // MARK: - Stimuli

  /// The pseudonym of a stimulus: a known kind and the time or number after it stay.
  package func stimulus(_ text: String) -> String {
    let form = StimulusForm(text)
    // The digits of any other text need not be a time.
    guard let kind = form.kind else { return name(text) }
    return kind + (form.rest.isEmpty ? "" : "-" + name(form.rest)) + form.suffix
  }
}

/// What can stay in an anonymised copy by request.
package enum KeptName: String, CaseIterable, Sendable {
  case keys, exceptions
}
