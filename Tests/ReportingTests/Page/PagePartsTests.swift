import LogFormat
import TaskLogPlugin
import Testing

@testable import LogAnalysis
@testable import Reporting

/// The parts of the report page.
@Suite struct PagePartsTests {
  @Test(arguments: [
    ("inc-37bf9a18864fee47e9014e079c0c4e95", "inc-37bf9a18…"),
    ("('x-37bf9a18864fee47e9014e079c0c4e95', 1, 2)", "('x-37bf9a18…', 1, 2)"),
    ("3f786850e387550f-sum-89e6c98d92887913cadf06b2adb97f26cde4849b", "3f786850…-sum-89e6c98d…"),
  ])
  func `a hash in a key is shortened`(key: String, short: String) {
    #expect(ShortKey.text(key) == short)
  }

  @Test(arguments: ["sum", "inc-2a3d", "deadbeef-0123456", "", "é-漢字"])
  func `a key without a hash is unchanged`(key: String) {
    #expect(ShortKey.text(key) == nil)
  }

  @Test func `stories grow in parallel and are read back separately`() {
    var arena = StoryArena()
    var places = [StoryArena.Place](repeating: StoryArena.Place(), count: 7)
    let numbers: [UInt64] = [0, 1, 127, 128, 16_383, 16_384, 1 << 40, .max]
    for round in 0..<30 {
      for story in places.indices {
        arena.append(number: numbers[(round + story) % numbers.count], to: &places[story])
      }
    }
    for story in places.indices {
      var reader = StoryArena.Reader(places[story])
      for round in 0..<30 {
        #expect(reader.number(arena) == numbers[(round + story) % numbers.count])
      }
    }
  }

  @Test func `a curve is exact as long as its points fit`() {
    var series = StepSeries(width: 2, limit: 100)
    for time in 0..<100 { series.add(Int64(time * 10), [Int64(time), Int64(-time)]) }
    #expect(series.resolution == 1)
    #expect(series.times == (0..<100).map { Int64($0 * 10) })
    #expect(series.values.count == 200)
    #expect(series.values[7 * 2] == 7)
  }

  @Test func `a long curve keeps its last values at ever larger intervals`() {
    var series = StepSeries(width: 1, limit: 100)
    for time in 0..<100_000 { series.add(Int64(time), [Int64(time)]) }
    #expect(series.times.count <= 100)
    #expect(series.times.count > 40)
    #expect(series.resolution > 500)
    #expect(series.values.last == 99_999)
    #expect(series.times == series.times.sorted())
  }

  @Test func `a late point of a curve counts at the latest time`() {
    var series = StepSeries(width: 1, limit: 100)
    series.add(10, [1])
    series.add(4, [2])
    #expect(series.times == [10])
    #expect(series.values == [2])
  }

  @Test func `a column is smaller than its input`() {
    let column = PageColumn("test")
    for number in 0..<100_000 { column.number(number % 50) }
    column.finish()
    #expect(column.rawCount == 100_000)
    #expect(column.compressed.count < 2_000)
    // The head of zlib's format: deflate, and a checksum of the head itself.
    #expect(column.compressed[0] & 0x0F == 8)
    #expect((Int(column.compressed[0]) << 8 | Int(column.compressed[1])) % 31 == 0)
  }

  @Test func `lanes are ordered by worker, and their spans by time`() {
    var lanes = LaneTable()
    func add(_ start: Int64, worker: Int, thread: Int64?) {
      lanes.add(
        LaneTable.Span(start: start, stop: start + 5, task: 0, action: 0, outcome: .done),
        worker: worker, thread: thread)
    }
    add(30, worker: 1, thread: 7)
    add(20, worker: 0, thread: nil)
    add(10, worker: 1, thread: 7)
    add(15, worker: 0, thread: 9)
    lanes.sort()
    #expect(lanes.lanes.map(\.worker) == [0, 0, 1])
    #expect(lanes.lanes.map(\.thread) == [9, nil, 7])
    #expect(lanes.lanes[2].spans.map(\.start) == [10, 30])
    #expect(lanes.count == 4)
  }
}

/// Fields of args and snapshots that are read without decoding them.
@Suite struct PageScansTests {
  private func withBytes<Result>(
    _ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result
  ) -> Result {
    // Followed by a NUL, as in a log.
    let bytes = Array(text.utf8) + [0]
    return bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0.dropLast())) }
  }

  private static let names =
    ["a", "b", "c,]}", "c", "d e"].map { Key($0) }
    + [Key("b", 1), Key(.int(3)) ?? "3"]

  /// The texts of the keys in a graph.
  private func graph(_ snapshot: String, _ args: String = "") -> [[String]] {
    withBytes(snapshot) { snapshot in
      withBytes(args) { args in
        var tasks: [[String]] = []
        TaskGraphReader.forEachNode(in: snapshot) {
          $0(args)
        } _: { node in
          tasks.append(
            ([node.key] + node.dependencies).map { hash in
              Self.names.first { KeyHash.hash(of: $0) == hash }?.text ?? "?"
            })
        }
        return tasks
      }
    }
  }

  @Test func `tasks of a graph name themselves and their dependencies`() {
    let snapshot = """
      {"graph":[{"key":"a"},{"key":{"$tuple":["b",1]},"priority":[1,2],"dependencies":["a",3]},
      {"dependencies":[],"key":"c,]}"},{"key":"d e","dependencies":[ "\\u0061", "d e" ]}]}
      """
    #expect(
      graph(snapshot) == [["a"], ["('b', 1)", "a", "3"], ["c,]}"], ["d e", "a", "d e"]])
  }

  @Test func `tasks of a graph that do not name themselves are named by the args`() {
    let args = #"{"client":"c","tasks":["a",{"$tuple":["b",1]},"b","c"],"x":1}"#
    let snapshot = #"{"graph":[{},{"dependencies":["a"],"span":"s"},0,{"dependencies":[]},{}]}"#
    #expect(graph(snapshot, args) == [["a"], ["('b', 1)", "a"], ["c"]])
  }

  @Test func `the tasks that a recorder found are a graph`() {
    let snapshot = """
      {"attach":{"workers":[{"tasks":[]}],"tasks":[{"key":"a"},{"key":"b","dependencies":["a"]}]}}
      """
    #expect(graph(snapshot) == [["a"], ["b", "a"]])
  }

  @Test(
    arguments: [
      "", "{}", "null", #"{"graph":[]}"#, #"{"graph":3}"#, #"{"graph":[{"#, "[1",
      #"{"attach":{"tasks":3}}"#, #"{"tasks":[{"key":"a"}]}"#,
    ])
  func `a value that is not a graph has no tasks`(snapshot: String) {
    #expect(graph(snapshot) == [])
  }

  @Test func `spans of work are found in lists and tuples`() {
    for (open, close) in [("[", "]"), (#"{"$tuple":["#, "]}")] {
      let args = """
        {"worker":"tcp://w","nbytes":12,"thread":7,"startstops":\(open)\
        {"action":"transfer","start":1.5,"stop":2.5,"source":"tcp://v"},\
        {"action":"compute","start":3,"stop":4}\(close),"typename":"int"}
        """
      withBytes(args) { text in
        let scan = OutcomeScan(text, retainsSpans: true)
        func name(_ range: Range<Int>?) -> String? {
          range.map { String(decoding: text[$0], as: UTF8.self) }
        }
        #expect(scan.nbytes == 12)
        #expect(scan.thread == 7)
        #expect(name(scan.worker) == "tcp://w")
        #expect(name(scan.typename) == "\"int\"")
        #expect(scan.spans.map(\.start) == [1.5, 3])
        #expect(scan.spans.map(\.stop) == [2.5, 4])
        #expect(name(scan.spans.first?.action) == "transfer")
        #expect(name(scan.spans.first?.source) == "tcp://v")
        #expect(scan.spans.last?.source == nil)
      }
    }
  }
}
