import Glibc

/// The system clock, for the actors and threads around the cores.
enum Time {
  /// Nanoseconds since 1970 UTC.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Seconds since 1970 UTC, as in Dask's `startstops`.
  static func seconds() -> Double {
    Double(now()) / 1e9
  }
}

/// Generates an ID like those of Dask's servers: `Scheduler-` and a random UUID.
func makeID(_ kind: String) -> String {
  var generator = SystemRandomNumberGenerator()
  let digits = (0..<4).map { _ in
    let word = String(UInt32.random(in: 0...(.max), using: &generator), radix: 16)
    return String(repeating: "0", count: 8 - word.count) + word
  }.joined()
  return "\(kind)-\(digits)"
}
