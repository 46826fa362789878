import Glibc
import TaskLogPlugin

/// Makes ids of runs: UUIDv7 (RFC 9562, section 5.7), whose text sorts by time.
///
/// The twelve bits after the milliseconds are their fraction (section 6.2, method 3), so that runs
/// that begin in the same millisecond sort by time, too.
package enum RunID {
  package static func make() -> String { make(at: Clock.now()) }

  /// - Parameter time: nanoseconds since 1970 UTC.
  static func make(at time: Int64) -> String {
    var generator = SystemRandomNumberGenerator()
    let (milliseconds, rest) = UInt64(time).quotientAndRemainder(dividingBy: 1_000_000)
    let high = milliseconds << 16 | 0x7000 | rest * 4096 / 1_000_000
    let low = 0x8000_0000_0000_0000 | UInt64.random(in: 0...(.max >> 2), using: &generator)
    let digits = high.hexadecimal + low.hexadecimal
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text += "-" }
      text.append(digit)
    }
    return text
  }
}

/// The system clock.
package enum Clock {
  /// Nanoseconds since 1970 UTC.
  package static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
