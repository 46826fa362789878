import TestSupport
import Testing

@testable import TaskLogPlugin

/// Compares reading field by field with decoding the values.
@Suite struct QuickFactsTests {
  private func json(_ value: Value) -> EncodedJSON { EncodedJSON(JSONWriter.text(value)) }

  private func slowSnapshot(_ json: EncodedJSON) -> Snapshot? {
    (try? json.value()).map { Snapshot($0) }
  }

  /// Snapshots as they are written, or with one field replaced by something else.
  private func damaged(_ value: Value, _ random: inout SplitMix64) -> Value {
    switch value {
    case .dict(var entries) where !entries.isEmpty:
      let place = random.below(entries.count)
      if random.once(in: 4) {
        // Two fields of one name.
        let value = random.once(in: 3) ? random.value(depth: 3) : entries[place].value
        entries.insert(.init(entries[place].key, value), at: random.below(entries.count + 1))
        return .dict(entries)
      }
      entries[place].value =
        random.once(in: 3) ? random.value(depth: 3) : damaged(entries[place].value, &random)
      return .dict(entries)
    case .list(var values) where !values.isEmpty:
      let place = random.below(values.count)
      values[place] = damaged(values[place], &random)
      return .list(values)
    case .tuple(var values) where !values.isEmpty:
      let place = random.below(values.count)
      values[place] = damaged(values[place], &random)
      return .tuple(values)
    default: return random.value(depth: 3)
    }
  }

  private func key(_ random: inout SplitMix64) -> Key {
    if random.once(in: 2) { return Key(random.pick(["sum-1f", "a b", "x"]), random.below(40) - 3) }
    return Key(random.keyValue()) ?? "k"
  }

  private func keys(_ random: inout SplitMix64) -> [Key] {
    (0..<random.below(4)).map { _ in key(&random) }
  }

  private func spans(_ random: inout SplitMix64) -> [StartStop] {
    (0..<random.below(3)).map { _ in
      StartStop(
        action: random.pick(["compute", "transfer", "t\u{e9}\n"]), start: random.double(),
        stop: 1_795_580_615.2141147, source: random.once(in: 2) ? "tcp://127.0.0.1:1" : nil)
    }
  }

  private func taskFacts(_ random: inout SplitMix64) -> TaskSnapshot {
    func maybe<T>(_ value: T) -> T? { random.once(in: 2) ? value : nil }
    return TaskSnapshot(
      nbytes: maybe(8), typeName: maybe("Int"), exceptionText: maybe("'no'\n"),
      tracebackText: maybe("a\\b"), startStops: spans(&random),
      comingFrom: maybe("tcp://127.0.0.1:34567"), cause: maybe("c"), retries: maybe(2),
      suspicious: maybe(1), previous: maybe(.executing), state: maybe(.other("new")),
      counter: maybe(.max))
  }

  private func graphTask(_ random: inout SplitMix64) -> GraphTask {
    GraphTask(
      key: key(&random), dependencies: keys(&random),
      priority: random.once(in: 4) ? nil : Priority(0, Double(random.below(9)), -0.5),
      annotations: random.once(in: 3) ? [.init("retries", 2), .init("x", .bytes([1]))] : [],
      retries: random.below(2), workerRestrictions: random.once(in: 3) ? ["tcp://a", "b"] : [],
      looseRestrictions: random.once(in: 3),
      resourceRestrictions: random.once(in: 3) ? [Resource("GPU", 1.5)] : [])
  }

  /// The share of the texts that were read by the fast way.
  private func share(_ count: Int, _ body: (inout SplitMix64) throws -> Bool) rethrows -> Double {
    var random = Randomness.generator(77)
    var quick = 0
    for _ in 0..<count where try body(&random) { quick += 1 }
    return Double(quick) / Double(count)
  }

  @Test func `a snapshot means the same, however it is read`() throws {
    let share = share(Randomness.count) { random in
      let snapshot: Snapshot =
        random.once(in: 2)
        ? .task(taskFacts(&random)) : .graph((0..<random.below(4)).map { _ in graphTask(&random) })
      let plain = json(snapshot.value ?? .null)
      guard let quick = Snapshot(fast: plain) else { return false }
      #expect(quick == slowSnapshot(plain), "\(plain.text)")
      return true
    }
    // Keys of tuples with `$` in them and similar ones are left to the slow way.
    #expect(share > 0.9)
  }

  @Test func `a snapshot with anything in it means the same, or is left to the slow way`() {
    let share = share(Randomness.count) { random in
      let snapshot: Snapshot =
        random.once(in: 2)
        ? .task(taskFacts(&random)) : .graph((0..<random.below(4)).map { _ in graphTask(&random) })
      let odd = json(damaged(snapshot.value ?? .null, &random))
      guard let quick = Snapshot(fast: odd) else { return false }
      #expect(quick == slowSnapshot(odd), "\(odd.text)")
      return true
    }
    #expect(share > 0.1)
  }

  @Test func `the args of a run that has ended mean the same`() {
    let share = share(Randomness.count) { random in
      let facts = RunReport(
        worker: "tcp://127.0.0.1:34567", nbytes: random.int(), type: "Swift.Int", typeName: "Int",
        thread: 17, startStops: spans(&random))
      var value = facts.fields
      if random.once(in: 2) { value = damaged(value, &random) }
      let args = Args(json: json(value))
      let (worker, type) = random.pick([
        ("tcp://127.0.0.1:34567", "Int"), ("tcp://127.0.0.1:34568", "Intern"), (nil, nil),
      ])
      guard
        let quick = args.encoded.flatMap({
          StoredResult(fast: $0, worker: worker, typeName: type)
        })
      else { return false }
      #expect(quick == StoredResult(args.content), "\(args.json)")
      return true
    }
    #expect(share > 0.7)
  }

  @Test func `the args of a task assigned to a worker mean the same`() {
    let share = share(Randomness.count) { random in
      var facts = ComputeRequest(
        priority: random.once(in: 4) ? nil : Priority(0, 1, 2),
        whoHas: keys(&random).map { ($0, ["tcp://127.0.0.1:1", "tcp://b"]) },
        annotations: random.once(in: 2) ? nil : [.init("a", 1)])
      if random.once(in: 3) { facts.resourceRestrictions = [Resource("GPU", 1)] }
      guard case .dict(var entries) = facts.fields else { return false }
      if random.once(in: 2) {
        let sizes = keys(&random).map { Value.Entry($0.value, .int(random.int())) }
        entries.append(.init("nbytes", .dict(sizes)))
      }
      let value =
        random.once(in: 2) ? Value.dict(entries) : damaged(.dict(entries), &random)
      let args = Args(json: json(value))
      guard let quick = args.encoded.flatMap({ ComputeStimulus(fast: $0) }) else {
        return false
      }
      let slow = ComputeStimulus(args.content)
      #expect(args["op"]?.string == "compute-task")
      #expect(quick.facts.fields == slow.facts.fields, "\(args.json)")
      #expect(quick.sizes.map(\.key) == slow.sizes.map(\.key), "\(args.json)")
      #expect(quick.sizes.map(\.nbytes) == slow.sizes.map(\.nbytes), "\(args.json)")
      return true
    }
    #expect(share > 0.3)
  }

  @Test func `a graph's hook is called with the same`() {
    let share = share(Randomness.count) { random in
      let graph = (0..<random.below(4)).map { _ in graphTask(&random) }
      let facts = GraphSubmission(
        client: "Client-1", keys: keys(&random), tasks: graph.map(\.key),
        annotations: .object(["a": .dict([])]), added: graph)
      guard case .dict(var entries) = facts.fields else { return false }
      if random.once(in: 3) { entries.append(.init("more", random.value(depth: 3))) }
      let value =
        random.once(in: 2) ? Value.dict(entries) : damaged(.dict(entries), &random)
      let args = Args(json: json(value))
      guard let quick = args.encoded.flatMap({ UpdateGraphCall(fast: $0) }) else {
        return false
      }
      let slow = UpdateGraphCall(args.content)
      #expect(quick.client == slow.client && quick.keys == slow.keys, "\(args.json)")
      #expect(quick.tasks == slow.tasks && quick.annotations == slow.annotations, "\(args.json)")
      #expect(quick.priority.keys == slow.priority.keys, "\(args.json)")
      #expect(quick.priority.values == slow.priority.values, "\(args.json)")
      #expect(quick.rest == slow.rest, "\(args.json)")
      if let told = args.encoded.flatMap({ ClientKeys(fast: $0) }) {
        #expect(told.client == args["client"]?.string)
        #expect(told.keys == (args["keys"]?.elements ?? []).compactMap(Key.init))
      }
      return true
    }
    #expect(share > 0.3)
  }

  @Test func `a text with damaged bytes is read as by the slow way, or not at all`() {
    var random = Randomness.generator(78)
    for _ in 0..<Randomness.count {
      var bytes = Array(JSONWriter.text(Snapshot.task(taskFacts(&random)).value ?? .null).utf8)
      for _ in 0...random.below(2) {
        let place = random.below(bytes.count)
        if random.once(in: 2) {
          bytes[place] = UInt8(random.below(128))
        } else {
          bytes.remove(at: place)
        }
      }
      let odd = EncodedJSON(String(decoding: bytes, as: UTF8.self))
      guard let quick = Snapshot(fast: odd) else { continue }
      #expect(quick == slowSnapshot(odd), "\(odd.text)")
    }
  }

  @Test func `interned bytes are found by the fast way`() throws {
    final class Blobs: BlobSource {
      func blob(hash: String) -> [UInt8]? { hash == "abc" ? [1, 2] : nil }
    }
    let text = """
      {"graph":[{"key":"k","annotations":{"a":{"$blob":"abc"},"b":{"$blob":"no"}}}]}
      """
    let json = EncodedJSON(text, blobs: Blobs())
    guard case .graph(let tasks)? = Snapshot(fast: json) else {
      Issue.record("it is not read fast")
      return
    }
    #expect(tasks[0].annotations[0].value == .bytes([1, 2]))
    #expect(tasks[0].annotations[1].value == .tagged("$blob", "no"))
    #expect(Snapshot(fast: json) == Snapshot(try json.value()))
  }

  @Test func `of two fields of one name the last one counts`() throws {
    let text = #"{"task":{"nbytes":1,"typeName":"a","typeName":"b","nbytes":2}}"#
    let expected = Snapshot.task(TaskSnapshot(nbytes: 2, typeName: "b"))
    #expect(Snapshot(fast: EncodedJSON(text)) == expected)
    #expect(Snapshot(try JSONReader.value(text)) == expected)
    let args = Args(json: EncodedJSON(#"{"worker":"a","worker":"b","nbytes":1,"nbytes":"no"}"#))
    #expect(args["worker"] == "b" && args["nbytes"] == "no")
    let result = args.encoded.flatMap { StoredResult(fast: $0, worker: "a", typeName: nil) }
    #expect(result?.worker == "b" && result?.nbytes == nil)
  }

  // MARK: - Keys

  @Test func `a key in a log is the same, however it is read`() {
    var random = Randomness.generator(79)
    var (fast, last) = (0, Key?.none)
    for _ in 0..<Randomness.count {
      let key = key(&random)
      var (text, typed) = (key.text, key.typed)
      if random.once(in: 8) { text += random.pick([" ", ")", ""]) }
      if random.once(in: 8) { typed = typed.replacingFirst("1", with: "01") }
      let slow = Key(text: text, typed: typed)
      let quick = text.withUTF8 { text in
        typed.withUTF8 { Key(text: text, typed: $0, after: last) }
      }
      guard let quick else { continue }
      fast += 1
      last = quick
      #expect(quick == slow && slow == quick)
      #expect(quick.hashValue == slow.hashValue)
      #expect(quick.typed == slow.typed && quick.value == slow.value)
      #expect(quick.group == slow.group && quick.prefix == slow.prefix)
    }
    #expect(fast > Randomness.count / 4)
  }

  // MARK: - Numbers

  @Test func `a number with decimals is the closest float`() throws {
    var random = Randomness.generator(80)
    for _ in 0..<Randomness.count * 20 {
      let digits = String(random.next() >> UInt64(random.below(64)))
      var text = digits
      let place = 1 + random.below(digits.utf8.count)
      text.insert(".", at: text.index(text.startIndex, offsetBy: min(place, digits.count)))
      if text.hasSuffix(".") { text += String(random.below(1000)) }
      if text.hasPrefix("0"), !text.hasPrefix("0.") { continue }
      if random.once(in: 2) { text = "-" + text }
      let expected = try #require(Double(text))
      #expect(try JSONReader.value(text) == .double(expected), "\(text)")
    }
    // Midpoints between two adjacent floats, and their neighbours.
    for text in [
      "9007199254740992.5", "9007199254740993.0", "4503599627370496.5", "4503599627370497.5",
      "4503599627370496.4", "0.1", "0.3", "0.0000000000000000001", "1795580615.2141147",
      "9999999999999999999.0", "1844674407370955161.5", "18446744073709551615.5", "-0.0", "0.5",
    ] {
      #expect(try JSONReader.value(text) == .double(try #require(Double(text))), "\(text)")
    }
  }
}

extension StoredResult: Equatable {
  public static func == (a: StoredResult, b: StoredResult) -> Bool {
    a.worker == b.worker && a.nbytes == b.nbytes && a.typeName == b.typeName
      && a.startStops.map(\.fields) == b.startStops.map(\.fields)
  }
}

extension String {
  fileprivate func replacingFirst(_ part: Character, with new: String) -> String {
    guard let place = firstIndex(of: part) else { return self }
    return self[..<place] + new + self[index(after: place)...]
  }
}
