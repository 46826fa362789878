/// The messages that are sent or to be sent and not yet confirmed: a pure core, driven by the
/// publishing thread.
///
/// Confirms may come in any order. What counts is the first unconfirmed message: everything before
/// it, up to its `mark`, is done.
struct InFlightWindow<Mark> {
  private struct Entry {
    var body: [UInt8]
    /// What is done once this message and all before it are confirmed.
    var mark: Mark
    /// The delivery number on the current connection; `nil` if it must be sent (again).
    var number: UInt64?
    var isConfirmed = false
  }

  private let messages: Int
  private let bytes: Int
  private var entries: [Entry] = []
  /// The index of the first unconfirmed entry; entries before it are removed in batches.
  private var first = 0
  private var lastNumber: UInt64 = 0
  private(set) var unconfirmedBytes = 0
  /// The number of messages to be sent, all of them at or after `firstUnsent`.
  private(set) var unsentCount = 0
  private var firstUnsent = 0
  /// The mark of the last message before the first unconfirmed one.
  private(set) var confirmedMark: Mark?
  /// The number of messages that were sent again.
  private(set) var resentCount = 0

  init(messages: Int, bytes: Int) {
    self.messages = max(1, messages)
    self.bytes = bytes
  }

  var count: Int { entries.count - first }
  var isEmpty: Bool { count == 0 }

  /// A message that is larger than the window is sent alone.
  var hasRoom: Bool { isEmpty || (count < messages && unconfirmedBytes < bytes) }

  mutating func add(_ body: [UInt8], _ mark: Mark) {
    if unsentCount == 0 { firstUnsent = entries.count }
    entries.append(Entry(body: body, mark: mark))
    unconfirmedBytes += body.count
    unsentCount += 1
  }

  /// Sends all unsent messages, in order.
  mutating func sendAll(_ send: ([UInt8]) throws -> Void) rethrows {
    guard unsentCount > 0 else { return }
    for index in max(first, firstUnsent)..<entries.count where isUnsent(index) {
      try send(entries[index].body)
      lastNumber += 1
      entries[index].number = lastNumber
      unsentCount -= 1
    }
  }

  /// On a new connection all unconfirmed messages are sent again.
  mutating func reconnect() {
    lastNumber = 0
    unsentCount = 0
    firstUnsent = first
    for index in first..<entries.count {
      let wasSent = entries[index].number != nil
      // Also for confirmed messages: the number belongs to another message from here on.
      entries[index].number = nil
      guard !entries[index].isConfirmed else { continue }
      if wasSent { resentCount += 1 }
      unsentCount += 1
    }
  }

  mutating func take(_ confirm: MessageConfirm) {
    guard confirm.number > 0 else { return }
    if confirm.isMultiple {
      for index in first..<entries.count {
        guard let number = entries[index].number, number <= confirm.number else { continue }
        set(index, confirm.isAccepted)
      }
    } else if let position = position(of: confirm.number) {
      set(position, confirm.isAccepted)
    }
    while first < entries.count, entries[first].isConfirmed {
      confirmedMark = entries[first].mark
      first += 1
    }
    if first > 1024 || first == entries.count {
      entries.removeFirst(first)
      firstUnsent = max(0, firstUnsent - first)
      first = 0
    }
  }

  /// Numbers increase with the index, except for messages that were refused and sent again.
  private func position(of number: UInt64) -> Int? {
    if let start = entries[first...].first?.number, number >= start {
      let guess = first + Int(clamping: number - start)
      if guess < entries.count, entries[guess].number == number { return guess }
    }
    return entries[first...].firstIndex { $0.number == number }
  }

  private mutating func set(_ index: Int, _ isAccepted: Bool) {
    guard !entries[index].isConfirmed else { return }
    if isAccepted {
      entries[index].isConfirmed = true
      unconfirmedBytes -= entries[index].body.count
      entries[index].body = []
    } else {
      entries[index].number = nil
      firstUnsent = unsentCount == 0 ? index : min(firstUnsent, index)
      unsentCount += 1
      resentCount += 1
    }
  }

  private func isUnsent(_ index: Int) -> Bool {
    entries[index].number == nil && !entries[index].isConfirmed
  }
}
