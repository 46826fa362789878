/// The messages that have been sent, or are to be, and not yet confirmed: a pure core, which the
/// thread that publishes drives.
///
/// Confirms may come in any order. What counts is the first message that is not confirmed: what `mark`
/// says of those before it is done for good.
struct InFlightWindow<Mark> {
  private struct Entry {
    var body: [UInt8]
    /// What is done once this and all before it are confirmed.
    var mark: Mark
    /// On the present connection; nothing when it has to be sent (again).
    var number: UInt64?
    var isConfirmed = false
  }

  private let messages: Int
  private let bytes: Int
  private var entries: [Entry] = []
  /// Entries before this one have been confirmed, and are removed now and then.
  private var first = 0
  private var lastNumber: UInt64 = 0
  private(set) var unconfirmedBytes = 0
  /// How many have to be sent, and from where on they are.
  private(set) var unsentCount = 0
  private var unsentFrom = 0
  /// Of the last message before the first that is not confirmed.
  private(set) var confirmedMark: Mark?
  /// How often a message was sent once more.
  private(set) var resentCount = 0

  init(messages: Int, bytes: Int) {
    self.messages = max(1, messages)
    self.bytes = bytes
  }

  var count: Int { entries.count - first }
  var isEmpty: Bool { count == 0 }

  /// A message that is larger than all that may be on its way goes alone.
  var hasRoom: Bool { isEmpty || (count < messages && unconfirmedBytes < bytes) }

  mutating func add(_ body: [UInt8], _ mark: Mark) {
    if unsentCount == 0 { unsentFrom = entries.count }
    entries.append(Entry(body: body, mark: mark))
    unconfirmedBytes += body.count
    unsentCount += 1
  }

  /// Sends what has to be sent, in order.
  mutating func sendAll(_ send: ([UInt8]) throws -> Void) rethrows {
    guard unsentCount > 0 else { return }
    for place in max(first, unsentFrom)..<entries.count where isUnsent(place) {
      try send(entries[place].body)
      lastNumber += 1
      entries[place].number = lastNumber
      unsentCount -= 1
    }
  }

  /// On a new connection everything that has not been confirmed is sent again.
  mutating func reconnect() {
    lastNumber = 0
    unsentCount = 0
    unsentFrom = first
    for place in first..<entries.count {
      let wasSent = entries[place].number != nil
      // Also of what is confirmed: the number is another message's from here on.
      entries[place].number = nil
      guard !entries[place].isConfirmed else { continue }
      if wasSent { resentCount += 1 }
      unsentCount += 1
    }
  }

  mutating func take(_ confirm: MessageConfirm) {
    guard confirm.number > 0 else { return }
    if confirm.isMultiple {
      for place in first..<entries.count {
        guard let number = entries[place].number, number <= confirm.number else { continue }
        set(place, confirm.isAccepted)
      }
    } else if let place = place(of: confirm.number) {
      set(place, confirm.isAccepted)
    }
    while first < entries.count, entries[first].isConfirmed {
      confirmedMark = entries[first].mark
      first += 1
    }
    if first > 1024 || first == entries.count {
      entries.removeFirst(first)
      unsentFrom = max(0, unsentFrom - first)
      first = 0
    }
  }

  /// Numbers go up with the places, but for messages that were refused and sent again.
  private func place(of number: UInt64) -> Int? {
    if let start = entries[first...].first?.number, number >= start {
      let guess = first + Int(clamping: number - start)
      if guess < entries.count, entries[guess].number == number { return guess }
    }
    return entries[first...].firstIndex { $0.number == number }
  }

  private mutating func set(_ place: Int, _ isAccepted: Bool) {
    guard !entries[place].isConfirmed else { return }
    if isAccepted {
      entries[place].isConfirmed = true
      unconfirmedBytes -= entries[place].body.count
      entries[place].body = []
    } else {
      entries[place].number = nil
      unsentFrom = unsentCount == 0 ? place : min(unsentFrom, place)
      unsentCount += 1
      resentCount += 1
    }
  }

  private func isUnsent(_ place: Int) -> Bool {
    entries[place].number == nil && !entries[place].isConfirmed
  }
}
