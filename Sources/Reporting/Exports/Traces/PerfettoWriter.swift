/// Writes a Perfetto trace: a sequence of packets with TrackEvents.
///
/// The field numbers are those of
/// https://github.com/google/perfetto/blob/main/protos/perfetto/trace/perfetto_trace.proto. Times
/// are nanoseconds since 1970, stated by a clock snapshot, so that viewers show them as dates.
/// Names are interned: each is written once, and then referred to by its number.
struct PerfettoWriter: TraceWriter {
  /// The maximum number of interned names, reached only with unusual keys. Further names are
  /// written in each packet.
  private static let nameLimit = 1 << 14

  private let sink: ByteSink
  private var packets = Protobuf()
  private var names: [String: UInt64] = [:]
  private var categories: [String: UInt64] = [:]
  /// The detail names that have been written, as bits.
  private var detailNames: UInt64 = 0
  private var isFirst = true

  /// - Parameter time: any time of the trace.
  init(_ sink: ByteSink, time: Int64) {
    self.sink = sink
    packet { packet in
      packet.message(6) { snapshot in
        // Boot time, the clock of packets, and real time are the same here.
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
      // The first packet starts the table of names, the others need it.
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
    // New names are written in the packet that uses them.
    var new = Interned()
    let nameID = Self.number(name, in: &names, &new.name)
    let categoryID = Self.number(category, in: &categories, &new.category)
    for detail in details where detailNames & 1 << detail.name.rawValue == 0 {
      detailNames |= 1 << detail.name.rawValue
      new.details.append(detail.name)
    }
    packet { packet in
      packet.number(8, UInt64(clamping: time))
      if new.isNeeded { packet.message(12) { new.write(to: &$0) } }
      packet.message(11) { event in
        event.number(9, type)
        event.number(11, UInt64(track.id))
        if let nameID { event.number(10, nameID) } else { event.text(23, name) }
        if let categoryID { event.number(3, categoryID) } else { event.text(22, category) }
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

  /// The names that are new in a packet.
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
    _ text: String, in table: inout [String: UInt64], _ new: inout (UInt64, String)?
  ) -> UInt64? {
    if let id = table[text] { return id }
    guard table.count < nameLimit else { return nil }
    let id = UInt64(table.count + 1)
    table[text] = id
    new = (id, text)
    return id
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
