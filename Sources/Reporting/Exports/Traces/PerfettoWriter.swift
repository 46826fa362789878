/// Writes a trace of Perfetto's: packets with TrackEvents, one after the other.
///
/// The numbers of fields are those of
/// https://github.com/google/perfetto/blob/main/protos/perfetto/trace/perfetto_trace.proto. Times are
/// nanoseconds since 1970; a clock snapshot says so, for viewers to show them as dates. Names are
/// interned: each is written once, and then meant by its number.
struct PerfettoWriter: TraceWriter {
  /// Beyond so many names, which only odd keys make, names stand where they are used.
  private static let mostNames = 1 << 14

  private let sink: ByteSink
  private var packets = Protobuf()
  private var names: [String: UInt64] = [:]
  private var categories: [String: UInt64] = [:]
  /// Which names of details have been written, as bits.
  private var detailNames: UInt64 = 0
  private var isFirst = true

  /// - Parameter time: any moment of the trace.
  init(_ sink: ByteSink, time: Int64) {
    self.sink = sink
    packet { packet in
      packet.message(6) { snapshot in
        // Boot time, which is what packets are in, and real time are the same here.
        for clock: UInt64 in [6, 1] {
          snapshot.message(1) {
            $0.number(1, clock)
            $0.number(2, UInt64(clamping: time))
          }
        }
      }
    }
  }

  private mutating func packet(_ body: (inout Protobuf) -> Void) {
    let isFirst = isFirst
    self.isFirst = false
    packets.message(1) { packet in
      body(&packet)
      packet.number(10, 1)
      // The first begins the table of names, the others need it.
      packet.number(13, isFirst ? 1 : 2)
    }
  }

  // MARK: - Tracks

  mutating func add(_ process: TraceProcess) {
    packet { packet in
      packet.message(60) { track in
        track.number(1, UInt64(process.id))
        track.message(3) {
          $0.integer(1, Int64(process.id))
          $0.text(6, process.name)
          $0.text(8, process.label)
        }
        // Explicit: by rank.
        track.number(11, 3)
        track.integer(12, Int64(process.id))
        track.number(19, 1)
      }
    }
  }

  mutating func add(_ track: TraceTrack) {
    packet { packet in
      packet.message(60) { descriptor in
        descriptor.number(1, UInt64(track.id))
        descriptor.number(5, UInt64(track.process))
        switch track.kind {
        case .thread:
          descriptor.message(4) {
            $0.integer(1, Int64(track.process))
            $0.integer(2, Int64(track.id))
            $0.text(5, track.name)
          }
        case .lane: descriptor.text(2, track.name)
        case .counter(let isBytes):
          descriptor.text(2, track.name)
          descriptor.message(8) { $0.number(3, isBytes ? 3 : 2) }
        }
        descriptor.integer(12, Int64(track.rank))
      }
    }
  }

  // MARK: - Events

  mutating func slice(_ slice: TraceSlice, on track: TraceTrack) {
    event(at: slice.start, type: 1, track, slice.name, slice.category, slice.details) { event in
      for flow in slice.flowsFrom { event.fixed(47, flow) }
      for flow in slice.flowsTo { event.fixed(48, flow) }
    }
    guard let stop = slice.stop else { return }
    packet { packet in
      packet.number(8, UInt64(clamping: stop))
      packet.message(11) {
        $0.number(9, 2)
        $0.number(11, UInt64(track.id))
      }
    }
  }

  mutating func instant(
    _ name: String, at time: Int64, category: String, _ details: [TraceDetail],
    on track: TraceTrack
  ) {
    event(at: time, type: 3, track, name, category, details) { _ in }
  }

  mutating func count(_ value: Int64, at time: Int64, on track: TraceTrack) {
    packet { packet in
      packet.number(8, UInt64(clamping: time))
      packet.message(11) {
        $0.number(9, 4)
        $0.number(11, UInt64(track.id))
        $0.integer(30, value)
      }
    }
  }

  private mutating func event(
    at time: Int64, type: UInt64, _ track: TraceTrack, _ name: String, _ category: String,
    _ details: [TraceDetail], _ rest: (inout Protobuf) -> Void
  ) {
    // What is named here for the first time goes with the packet that uses it.
    var fresh = Interned()
    let nameNumber = Self.number(name, in: &names, &fresh.name)
    let categoryNumber = Self.number(category, in: &categories, &fresh.category)
    for detail in details where detailNames & 1 << detail.name.rawValue == 0 {
      detailNames |= 1 << detail.name.rawValue
      fresh.details.append(detail.name)
    }
    packet { packet in
      packet.number(8, UInt64(clamping: time))
      if fresh.isNeeded { packet.message(12) { fresh.write(to: &$0) } }
      packet.message(11) { event in
        event.number(9, type)
        event.number(11, UInt64(track.id))
        if let nameNumber { event.number(10, nameNumber) } else { event.text(23, name) }
        if let categoryNumber { event.number(3, categoryNumber) } else { event.text(22, category) }
        for detail in details {
          event.message(4) { annotation in
            annotation.number(1, UInt64(detail.name.rawValue))
            switch detail.content {
            case .text(let text): annotation.text(6, text)
            case .number(let value): annotation.integer(4, value)
            }
          }
        }
        rest(&event)
      }
    }
  }

  /// Names that are new with a packet.
  private struct Interned {
    var name: (UInt64, String)?
    var category: (UInt64, String)?
    var details: [TraceDetail.Name] = []

    var isNeeded: Bool { name != nil || category != nil || !details.isEmpty }

    func write(to data: inout Protobuf) {
      for (field, entry) in [(UInt32(1), category), (2, name)] {
        guard let entry else { continue }
        data.message(field) {
          $0.number(1, entry.0)
          $0.text(2, entry.1)
        }
      }
      for name in details {
        data.message(3) {
          $0.number(1, UInt64(name.rawValue))
          $0.text(2, name.text)
        }
      }
    }
  }

  private static func number(
    _ text: String, in table: inout [String: UInt64], _ fresh: inout (UInt64, String)?
  ) -> UInt64? {
    if let number = table[text] { return number }
    guard table.count < mostNames else { return nil }
    let number = UInt64(table.count + 1)
    table[text] = number
    fresh = (number, text)
    return number
  }

  // MARK: - Output

  mutating func flushIfLarge() throws {
    guard packets.bytes.count >= 1 << 16 else { return }
    sink.bytes += packets.bytes
    packets.bytes.removeAll(keepingCapacity: true)
    try sink.flushIfLarge()
  }

  mutating func finish() throws {
    sink.bytes += packets.bytes
    packets.bytes.removeAll()
    try sink.flush()
  }
}
