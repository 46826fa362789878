import TestSupport
import Testing

@testable import Recording

/// The messages on their way to a broker: which are sent, sent again, and confirmed.
@Suite struct InFlightWindowTests {
  /// A broker that stores and confirms in any order, and whose connections break.
  private struct Broker {
    var random: SplitMix64
    /// All messages that were stored, possibly several times.
    var stored: Set<UInt8> = []
    /// Messages of this connection that are not confirmed yet, by their number.
    private var received: [(number: UInt64, message: UInt8)] = []
    private var lastNumber: UInt64 = 0
    /// The connection breaks after this many more messages.
    var messagesLeft = Int.max

    struct Broken: Error {}

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func connect() {
      // Messages received and not confirmed may have been stored or not.
      for (_, message) in received where random.next() % 2 == 0 { stored.insert(message) }
      received = []
      lastNumber = 0
      messagesLeft = Int(random.next() % 40)
    }

    mutating func receive(_ body: [UInt8]) throws {
      guard messagesLeft > 0 else { throw Broken() }
      messagesLeft -= 1
      lastNumber += 1
      received.append((lastNumber, body[0]))
    }

    /// Confirms or rejects some of the received messages.
    mutating func confirm() -> [MessageConfirm] {
      var confirms: [MessageConfirm] = []
      while !received.isEmpty, random.next() % 4 > 0 {
        let index = Int(random.next() % UInt64(received.count))
        let number = received[index].number
        let isAccepted = random.next() % 5 > 0
        let isMultiple = random.next() % 3 == 0
        let done = received.filter { isMultiple ? $0.number <= number : $0.number == number }
        if isAccepted { stored.formUnion(done.map(\.message)) }
        received.removeAll { isMultiple ? $0.number <= number : $0.number == number }
        confirms.append(
          MessageConfirm(number: number, isMultiple: isMultiple, isAccepted: isAccepted))
      }
      return confirms
    }
  }

  @Test(arguments: 0..<200)
  func `every message is stored, whatever a broker does`(seed: UInt64) throws {
    var broker = Broker(seed: seed)
    var window = InFlightWindow<UInt8>(messages: 20, bytes: 1 << 20)
    var next: UInt8 = 0
    var rounds = 0
    broker.connect()
    while next < 200 || !window.isEmpty {
      while next < 200, window.hasRoom {
        window.add([next], next)
        next += 1
      }
      do {
        try window.sendAll { try broker.receive($0) }
        #expect(window.unsentCount == 0)
        for confirm in broker.confirm() { window.take(confirm) }
        if let mark = window.confirmedMark {
          #expect((0...mark).allSatisfy(broker.stored.contains))
        }
      } catch {
        broker.connect()
        window.reconnect()
      }
      rounds += 1
      try #require(rounds < 10_000, "\(window.count) messages are never confirmed")
    }
    #expect(broker.stored.count == 200)
    #expect(window.confirmedMark == 199)
    #expect(window.unconfirmedBytes == 0)
  }

  @Test func `a confirmation belongs to the message with its number on this connection`() throws {
    var window = InFlightWindow<Int>(messages: 10, bytes: 1000)
    for mark in 1...3 { window.add([UInt8(mark)], mark) }
    window.sendAll { _ in }
    window.take(MessageConfirm(number: 2, isMultiple: false, isAccepted: true))
    window.reconnect()
    var sent: [UInt8] = []
    window.sendAll { sent += $0 }
    #expect(sent == [1, 3])
    window.take(MessageConfirm(number: 1, isMultiple: false, isAccepted: true))
    #expect(window.confirmedMark == 2)
    window.take(MessageConfirm(number: 2, isMultiple: false, isAccepted: true))
    #expect(window.confirmedMark == 3 && window.isEmpty)
  }
}
