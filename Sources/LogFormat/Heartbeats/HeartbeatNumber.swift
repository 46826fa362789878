import TaskLogPlugin

/// A number of a heartbeat, encoded relative to another number: the one at its index in the
/// template, the time of the event, or the number encoded before it. The shortest encoding that
/// restores exactly the same text is used.
///
/// Python's clocks are floats of seconds: in this century a multiple of 2⁻²², like the difference
/// of two of them.
enum HeartbeatNumber {
  enum Kind: UInt8, CaseIterable {
    /// An integer, minus that of the template; or unchanged.
    case integerDifference, integer
    /// A float in tenths.
    case tenths
    /// A float in units of 2⁻²², minus that of the template, minus the time of the event, or
    /// unchanged.
    case unitsDifference, unitsOfTime, units
    /// The eight bytes of a float.
    case float
    /// The same text as the previous number.
    case repeated
    /// Text.
    case text
    /// A count divided by a time in units, such as bytes sent per second; the same with the
    /// previous time.
    case rate, rateOfSameTime
    /// A time in units divided by a count, such as a mean.
    case mean
  }

  /// The previous numbers of the same heartbeat.
  struct Previous {
    var text: ArraySlice<UInt8>?
    var units: Int64 = 0
  }

  static let unit = 4_194_304.0  // 2²²
  /// Dask's monitor samples twice a second.
  private static let halfSecond: Int64 = 4_194_304 * 49 / 100

  /// The time of an event in units.
  static func units(ofTime time: Int64) -> Int64 {
    let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
    return seconds &* 4_194_304 &+ rest * 4_194_304 / 1_000_000_000
  }

  static func write(
    _ text: ArraySlice<UInt8>, template: ArraySlice<UInt8>, time: Int64, previous: inout Previous
  ) -> (kind: Kind, payload: [UInt8]) {
    if previous.text == text { return (.repeated, []) }
    let before = previous
    previous.text = text
    var best: (kind: Kind, payload: [UInt8]) = (.text, Varint.make(text.count) + text)
    func offer(_ kind: Kind, _ payload: [UInt8], mayBeLonger: Bool = false) {
      guard payload.count < best.payload.count + (mayBeLonger ? 2 : 0) else { return }
      var (position, after) = (payload.startIndex, before)
      let read = read(
        kind, payload[...], &position, template: template, time: time, previous: &after)
      guard let read, read[...] == text else { return }
      best = (kind, payload)
      previous = after
    }
    let string = String(decoding: text, as: UTF8.self)
    if let integer = Int64(string) {
      offer(.integer, Varint.make(signed: integer))
      if let other = Int64(String(decoding: template, as: UTF8.self)) {
        offer(.integerDifference, Varint.make(signed: integer &- other))
      }
      return best
    }
    guard let float = Double(string), float.isFinite else { return best }
    if let tenths = Int64(exactly: (float * 10).rounded()) {
      offer(.tenths, Varint.make(signed: tenths))
    }
    if let units = Int64(exactly: float * unit) {
      offer(.units, Varint.make(signed: units))
      offer(.unitsOfTime, Varint.make(signed: units &- Self.units(ofTime: time)))
      if let other = Self.units(template) {
        offer(.unitsDifference, Varint.make(signed: units &- other))
      }
    }
    if let mean = Fraction(of: float * unit, limit: 1 << 10) { offer(.mean, mean.payload) }
    if let count = Int64(exactly: (float * Double(before.units) / unit).rounded()) {
      offer(.rateOfSameTime, Varint.make(signed: count))
    }
    offer(.float, (0..<8).map { UInt8(truncatingIfNeeded: float.bitPattern >> UInt64($0 * 8)) })
    if let rate = Fraction(of: float / unit, limit: 1 << 26) {
      // One byte more than a float pays off: the rates after this one have the same time.
      offer(.rate, rate.scaled(to: halfSecond).payload, mayBeLonger: best.kind == .float)
      if best.kind != .rate { offer(.rate, rate.payload) }
    }
    return best
  }

  /// The text of a number; `nil` if the bytes are damaged.
  static func read(
    _ kind: Kind, _ bytes: ArraySlice<UInt8>, _ position: inout Int, template: ArraySlice<UInt8>,
    time: Int64, previous: inout Previous
  ) -> [UInt8]? {
    let made =
      read(kind, bytes, &position, template, time, &previous.units)
      ?? previous.text.flatMap {
        kind == .repeated ? Array($0) : nil
      }
    if let made { previous.text = made[...] }
    return made
  }

  private static func read(
    _ kind: Kind, _ bytes: ArraySlice<UInt8>, _ position: inout Int, _ template: ArraySlice<UInt8>,
    _ time: Int64, _ timeUnits: inout Int64
  ) -> [UInt8]? {
    switch kind {
    case .repeated: return nil
    case .text:
      guard let count = Varint.read(bytes, &position).flatMap({ Int(exactly: $0) }),
        count <= bytes.endIndex - position
      else { return nil }
      defer { position += count }
      return Array(bytes[position..<position + count])
    case .float:
      guard bytes.endIndex - position >= 8 else { return nil }
      let bits = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[position + $1]) << UInt64($1 * 8) }
      position += 8
      return text(Double(bitPattern: bits))
    default: break
    }
    guard let number = Varint.readSigned(bytes, &position) else { return nil }
    switch kind {
    case .rate:
      guard let units = Varint.readSigned(bytes, &position) else { return nil }
      timeUnits = units
      return text(Double(number) / (Double(units) / unit))
    case .rateOfSameTime: return text(Double(number) / (Double(timeUnits) / unit))
    case .mean:
      guard let count = Varint.readSigned(bytes, &position) else { return nil }
      return text(Double(number) / unit / Double(count))
    case .integer: return Array(String(number).utf8)
    case .integerDifference:
      guard let other = Int64(String(decoding: template, as: UTF8.self)) else { return nil }
      return Array(String(number &+ other).utf8)
    case .tenths: return text(Double(number) / 10)
    case .units: return text(Double(number) / unit)
    case .unitsOfTime: return text(Double(number &+ units(ofTime: time)) / unit)
    default: return units(template).flatMap { text(Double(number &+ $0) / unit) }
    }
  }

  private static func units(_ text: ArraySlice<UInt8>) -> Int64? {
    Double(String(decoding: text, as: UTF8.self)).flatMap { Int64(exactly: $0 * unit) }
  }

  /// Formatted as `JSONWriter` does.
  private static func text(_ float: Double) -> [UInt8]? {
    float.isFinite ? Array(float.description.utf8) : nil
  }
}

/// The first fraction of small numbers that is as close to a float as floats are, from its
/// continued fraction.
struct Fraction {
  private(set) var numerator: Int64 = 1
  private(set) var denominator: Int64 = 0

  /// - Parameter limit: the exclusive upper bound of the denominator.
  init?(of float: Double, limit: Int64) {
    var (rest, before) = (float.magnitude, (numerator: Int64(0), denominator: Int64(1)))
    guard rest < 1e12 else { return nil }
    for _ in 0..<40 {
      guard let whole = Int64(exactly: rest.rounded(.down)), whole < limit << 14 else { return nil }
      let (top, isTooLarge) = whole.multipliedReportingOverflow(by: numerator)
      let (bottom, isTooLong) = whole.multipliedReportingOverflow(by: denominator)
      guard !isTooLarge, !isTooLong, top < .max >> 1, bottom + before.denominator < limit else {
        return nil
      }
      let next = (top + before.numerator, bottom + before.denominator)
      before = (numerator, denominator)
      (numerator, denominator) = next
      let error = (Double(numerator) / Double(denominator) - float.magnitude).magnitude
      if error <= float.magnitude * 4e-16 { break }
      guard rest - Double(whole) > 0 else { return nil }
      rest = 1 / (rest - Double(whole))
    }
    if float < 0 { numerator = -numerator }
  }

  var payload: [UInt8] { Varint.make(signed: numerator) + Varint.make(signed: denominator) }

  /// The same fraction with a denominator of at least this; unchanged if the numbers become too
  /// large.
  func scaled(to least: Int64) -> Fraction {
    let scale = (least + denominator - 1) / denominator
    let (top, isTooLarge) = numerator.multipliedReportingOverflow(by: scale)
    guard scale > 1, !isTooLarge else { return self }
    var scaled = self
    (scaled.numerator, scaled.denominator) = (top, denominator * scale)
    return scaled
  }
}

/// Numbers in as few bytes as necessary, seven bits each, the lowest first.
enum Varint {
  static func make(_ number: Int) -> [UInt8] { make(UInt64(number)) }

  /// Small numbers of either sign are short.
  static func make(signed number: Int64) -> [UInt8] {
    make(UInt64(bitPattern: number << 1 ^ number >> 63))
  }

  private static func make(_ number: UInt64) -> [UInt8] {
    var (rest, bytes) = (number, [UInt8]())
    while rest > 0x7F {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  static func read(_ bytes: ArraySlice<UInt8>, _ position: inout Int) -> UInt64? {
    var (number, shift) = (UInt64(0), UInt64(0))
    while position < bytes.endIndex, shift < 64 {
      let byte = bytes[position]
      position += 1
      number |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return number }
      shift += 7
    }
    return nil
  }

  static func readSigned(_ bytes: ArraySlice<UInt8>, _ position: inout Int) -> Int64? {
    read(bytes, &position).map { Int64(bitPattern: $0 >> 1) ^ -Int64(bitPattern: $0 & 1) }
  }
}
