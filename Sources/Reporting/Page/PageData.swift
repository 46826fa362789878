import EventLog
import TaskLogPlugin

/// The data of one side of the page: a JSON document, and columns of numbers.
struct PageData {
  /// The level of detail of the page; each level is used only if the previous one is too large.
  enum Detail: Int, CaseIterable {
    case all
    /// Shortened hashes in keys.
    case shortKeys
    /// Also without the stimulus events of workers in stories.
    case withoutStimuli
    /// Also without all events of workers in stories.
    case schedulerOnly
  }

  private(set) var columns: [PageColumn] = []
  /// It cannot end the element that contains it, as it has no `<`.
  private(set) var document = ""
  /// The number of keys with shortened hashes, and of events omitted from stories.
  private(set) var shortenedKeys = 0
  private(set) var omittedEvents = 0

  private var scan: PageScan
  private var fixed: [PageColumn] = []
  private var stories: [PageColumn]?
  private let needCount: Int
  private let lastOfRun: [Int: (task: Int, index: Int)]
  let resources: ResourceTable.Grid

  /// - Throws: `LogError`.
  init(_ scan: consuming PageScan) throws {
    self.scan = scan
    if self.scan.isScoped { try self.scan.restrict() }
    self.scan.lanes.sort()
    self.scan.attempts.sort()
    self.scan.figures.add(self.scan.lanes, self.scan.tasks)
    let needs = NeedTable(self.scan.tasks)
    needCount = needs.count
    let attempts = Self.attempts(self.scan, needs)
    lastOfRun = attempts.lastOfRun
    let workers = self.scan.workers
    resources = self.scan.resources.grid(self.scan.shownTimes) { workers.rows[$0].left }
    fixed = [edges(needs), series(), measures()] + spans() + taskColumns() + attempts.columns
    for column in fixed { column.finish() }
  }

  /// The number of tasks with events, and of spans of work.
  var taskCount: Int {
    scan.tasks.slots.count { scan.isScoped ? $0.isSelected : $0.events > 0 }
  }
  var spanCount: Int { scan.lanes.count }

  /// The size in the page, in bytes.
  var size: Int {
    columns.reduce(document.utf8.count) { $0 + ($1.compressed.count + 2) / 3 * 4 }
  }

  /// Makes the document and the columns that depend on the level of detail.
  ///
  /// - Throws: `LogError`.
  mutating func make(_ detail: Detail) throws {
    let keys = try keys(isShort: detail != .all)
    // Shorter keys do not change the stories.
    if stories == nil || detail.rawValue > Detail.shortKeys.rawValue {
      stories = try makeStories(detail)
    }
    columns = fixed + [keys] + (stories ?? [])
    for column in columns { column.finish() }
    document = Self.withoutTags(JSONWriter.text(try document(scan, detail, needCount, lastOfRun)))
  }

  /// JSON within which no HTML tag begins or ends.
  private static func withoutTags(_ json: String) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(json.utf8.count)
    for byte in json.utf8 {
      if byte == UInt8(ascii: "<") { bytes += "\\u003c".utf8 } else { bytes.append(byte) }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: - Tasks

  private mutating func keys(isShort: Bool) throws -> PageColumn {
    let column = PageColumn("key")
    shortenedKeys = 0
    for slot in scan.tasks.slots {
      var text = try scan.reader.key(slot.key)?.text ?? ""
      if isShort, let short = ShortKey.text(text) {
        text = short
        shortenedKeys += 1
      }
      text.withUTF8 { column.bytes($0) }
      column.byte(0)
    }
    return column
  }

  private func taskColumns() -> [PageColumn] {
    let prefix = PageColumn("prefix")
    let bytes = PageColumn("nbytes")
    let type = PageColumn("type")
    let state = PageColumn("state")
    let failure = PageColumn("failure")
    let run = PageColumn("run")
    for (task, slot) in scan.tasks.slots.enumerated() {
      prefix.number(slot.prefix)
      bytes.number(max(0, slot.nbytes))
      type.number(slot.typename)
      state.byte(slot.isAtScheduler ? slot.state : 254)
      failure.number(scan.failures.last[task]?.code ?? 0)
      run.number(slot.run)
    }
    return [prefix, bytes, type, state, failure, run]
  }

  private func edges(_ needs: NeedTable) -> PageColumn {
    let column = PageColumn("needs")
    for task in scan.tasks.slots.indices {
      let own = needs[task]
      column.number(own.count)
      var before = Int64(task)
      for need in own {
        column.signed(before - Int64(need))
        before = Int64(need)
      }
    }
    return column
  }

  // MARK: - Spans and series

  private func spans() -> [PageColumn] {
    let gap = PageColumn("gap")
    let duration = PageColumn("duration")
    let task = PageColumn("task")
    let what = PageColumn("what")
    let source = PageColumn("source")
    for lane in scan.lanes.lanes {
      var stop: Int64 = 0
      var before: Int64 = 0
      for span in lane.spans {
        gap.signed(span.start - stop)
        duration.number(span.duration)
        task.signed(Int64(span.task) - before)
        what.number(span.what)
        if span.what >> 2 != 0 { source.number(span.source + 1) }
        stop = span.start + span.duration
        before = Int64(span.task)
      }
    }
    return [gap, duration, task, what, source]
  }

  private func series() -> PageColumn {
    let column = PageColumn("series")
    scan.states.write(to: column)
    for worker in scan.workers.rows { worker.series.write(to: column) }
    return column
  }

  private func measures() -> PageColumn {
    let column = PageColumn("resources")
    resources.write(to: column)
    return column
  }

  // MARK: - Stories

  private mutating func makeStories(_ detail: Detail) throws -> [PageColumn] {
    let first = PageColumn("first")
    let events = PageColumn("events")
    let kind = PageColumn("kind")
    let step = PageColumn("step")
    let location = PageColumn("where")
    let stimulus = try scan.reader.number(ofText: Hook.stimulus.name) ?? -1
    let isIncluded = scan.kinds.map { kind in
      switch detail {
      case .all, .shortKeys: true
      case .withoutStimuli: kind.isScheduler || kind.hook != stimulus
      case .schedulerOnly: kind.isScheduler
      }
    }
    omittedEvents = 0
    var before: Int64 = 0
    for slot in scan.tasks.slots {
      var reader = StoryArena.Reader(slot.story)
      var time = slot.first
      var written = slot.first
      var worker: UInt64 = .max
      var writtenWorker: UInt64 = .max
      var count = 0
      first.signed(slot.first - before)
      before = slot.first
      for _ in 0..<slot.events {
        let head = reader.number(scan.arena)
        let zigzag = reader.number(scan.arena)
        time += Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1)
        if head & 3 == 2 { worker = reader.number(scan.arena) }
        guard isIncluded[Int(head >> 2)] else {
          omittedEvents += 1
          continue
        }
        let isElsewhere = head & 3 != 0 && worker != writtenWorker
        kind.number(head & ~3 | (head & 3 == 0 ? 0 : isElsewhere ? 2 : 1))
        step.signed(time - written)
        if isElsewhere {
          location.number(worker)
          writtenWorker = worker
        }
        written = time
        count += 1
      }
      events.number(count)
    }
    return [first, events, kind, step, location]
  }
}
