extension ThreadTimeInput.Interval {
  /// The parts of it that are in none of some others.
  func without(_ others: [Self]) -> [Self] {
    var (parts, start): ([Self], Int64) = ([], start)
    for other in others.merged() {
      if other.start > start, start < stop { parts.append(Self(start, min(other.start, stop))) }
      start = max(start, other.stop)
    }
    if start < stop { parts.append(Self(start, stop)) }
    return parts
  }

  /// The part of it that is within another one; `nil` if none is.
  func part(of other: Self) -> Self? {
    let part = Self(max(start, other.start), min(stop, other.stop))
    return part.start < part.stop ? part : nil
  }
}

extension [ThreadTimeInput.Interval] {
  /// The same times as intervals that do not overlap, in order.
  func merged() -> Self {
    var merged: Self = []
    for interval in sorted(by: { $0.start < $1.start }) where interval.start < interval.stop {
      if let last = merged.last, interval.start <= last.stop {
        merged[merged.count - 1].stop = Swift.max(last.stop, interval.stop)
      } else {
        merged.append(interval)
      }
    }
    return merged
  }
}
