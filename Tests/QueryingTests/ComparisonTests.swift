import TestSupport
import Testing

@testable import LogAnalysis
@testable import Querying

/// Differences by chance, and others.
@Suite struct ComparisonTests {
  /// The probability by trying all ways to choose the first sample.
  private static func tried(_ one: [Double], _ other: [Double]) -> Double {
    let all = one + other
    func rank(_ value: Double) -> Double {
      Double(all.count { $0 < value }) + Double(all.count { $0 == value } + 1) / 2
    }
    let ranks = all.map(rank)
    let sum = ranks.prefix(one.count).reduce(0, +)
    var (low, high, count) = (0, 0, 0)
    for choice in 0..<(1 << all.count) where choice.nonzeroBitCount == one.count {
      let total = ranks.indices.filter { choice >> $0 & 1 == 1 }.reduce(0.0) { $0 + ranks[$1] }
      count += 1
      if total <= sum { low += 1 }
      if total >= sum { high += 1 }
    }
    return min(1, 2 * Double(min(low, high)) / Double(count))
  }

  @Test func `the probability is that of all choices, also with ties`() {
    var random = SplitMix64(seed: 24)
    for _ in 0..<200 {
      let (first, second) = (1 + random.below(6), 1 + random.below(6))
      let kinds = 2 + random.below(12)
      let one = (0..<first).map { _ in Double(random.below(kinds)) }
      let other = (0..<second).map { _ in Double(random.below(kinds)) }
      let (ours, wanted) = (RankTest.probability(one, other), Self.tried(one, other))
      #expect((ours - wanted).magnitude < 1e-9, "\(one) \(other)")
    }
    #expect(RankTest.probability([], [1]) == 1)
    #expect((RankTest.probability([1, 2, 3], [4, 5, 6]) - 0.1).magnitude < 1e-12)
    #expect((RankTest.least(5, 5) - 2.0 / 252).magnitude < 1e-12)
  }

  /// Values of SciPy 1.14: `mannwhitneyu(a, b, method="asymptotic")`.
  @Test func `the probability of large samples is that of the normal distribution`() {
    let one = (0..<20).map { Double($0) }
    let shifted = one.map { $0 + 5 }
    #expect((RankTest.probability(one, shifted) - 0.018_6).magnitude < 0.001)
    let ties = one.map { ($0 / 4).rounded(.down) }
    #expect(RankTest.probability(ties, ties) == 1)
    #expect(RankTest.probability(one, one.map { $0 + 100 }) < 1e-6)
  }

  /// Runs of a noisy workload: each run is slower or faster as a whole, each prefix by itself, and now and
  /// then one is much slower.
  static func runs(
    _ count: Int, slower factor: Double = 1, _ random: inout SplitMix64
  ) -> [RunFigures] {
    func noise(_ width: Double, _ random: inout SplitMix64) -> Double {
      let sum = (0..<12).reduce(-6.0) { total, _ in total + Double.random(in: 0..<1, using: &random)
      }
      return max(0.2, 1 + width * sum)
    }
    return (0..<count).map { _ in
      var figures = RunFigures()
      var whole = noise(0.05, &random)
      if random.once(in: 20) { whole *= 2 }
      for (place, name) in ["load", "clean", "join", "sum"].enumerated() {
        var prefix = RunSummary.Prefix()
        let base = whole * noise(0.1, &random) * (name == "load" ? factor : 1)
        prefix.tasks = 100
        prefix.failed = random.once(in: 10) ? 1 : 0
        prefix.retried = Int64(random.below(3))
        prefix.nbytes = 1_000_000 + Int64(random.below(1000))
        let seconds = base * Double(place + 1)
        prefix.computeP50 = Int64(seconds * 1e9)
        prefix.computeP95 = Int64(seconds * (1.5 + noise(0.1, &random)) * 1e9)
        prefix.computeSeconds = base * 100
        figures.prefixes[name] = prefix
      }
      figures.makespan = figures.whole.computeSeconds / 8 * noise(0.05, &random)
      for kind in [ThreadTime.Class.transfer, .nothingToRun, .schedulerLag] {
        figures.classes[kind.name] = noise(0.3, &random)
      }
      return figures
    }
  }

  private static func alarms(_ all: [Comparison]) -> [Comparison] {
    all.filter { $0.verdict == .higher || $0.verdict == .lower }
  }

  @Test func `equal sides raise at most 5 false alarms in 500 comparisons`() {
    var random = SplitMix64(seed: 500)
    var alarms = 0
    for _ in 0..<500 {
      let all = Comparison.all(
        of: Self.runs(20, &random), baseline: Self.runs(20, &random))
      if !Self.alarms(all).isEmpty { alarms += 1 }
    }
    #expect(alarms <= 5, "\(alarms) alarms")
  }

  @Test func `a prefix that is 30 percent slower is found in nearly all comparisons`() {
    var random = SplitMix64(seed: 30)
    var found = 0
    for _ in 0..<50 {
      let all = Comparison.all(
        of: Self.runs(20, slower: 1.3, &random), baseline: Self.runs(20, &random))
      let load = all.first { $0.measure == Measure(.p50, prefix: "load") }
      if load?.verdict == .higher { found += 1 }
      #expect(!Self.alarms(all).contains { $0.measure.prefix == "sum" })
    }
    #expect(found >= 45, "\(found) of 50")
  }

  @Test func `a difference that is certain but small is no alarm`() {
    var random = SplitMix64(seed: 9)
    func sides(_ factor: Double) -> Comparison? {
      let base = Self.runs(20, &random)
      let other = base.map { run in
        var run = run
        run.makespan = 10 * factor + Double.random(in: 0..<0.01, using: &random)
        return run
      }
      let before = base.map { run in
        var run = run
        run.makespan = 10 + Double.random(in: 0..<0.01, using: &random)
        return run
      }
      return Comparison.all(of: other, baseline: before).first { $0.measure.name == .makespan }
    }
    let small = sides(1.08)
    #expect(small?.verdict == .notShown && (small?.corrected ?? 1) < 0.001)
    #expect(sides(1.12)?.verdict == .higher)
    #expect(sides(0.85)?.verdict == .lower)
  }

  @Test func `one run alone raises no alarm, and shows its place`() {
    var random = SplitMix64(seed: 1)
    let all = Comparison.all(
      of: Self.runs(1, slower: 3, &random), baseline: Self.runs(20, &random))
    #expect(Self.alarms(all).isEmpty)
    let load = all.first { $0.measure == Measure(.p50, prefix: "load") }
    #expect(load?.verdict == .cannotTell && load?.place?.below == 20)
    #expect(
      Reports.headline(all, 1, baseline: 20).contains("one run alone does not tell"))
  }

  @Test func `too few runs on both sides are said to be too few`() {
    var random = SplitMix64(seed: 2)
    let all = Comparison.all(
      of: Self.runs(3, slower: 3, &random), baseline: Self.runs(3, &random))
    #expect(Self.alarms(all).isEmpty)
    #expect(all.first { $0.measure.name == .makespan }?.verdict == .cannotTell)
    #expect(Reports.headline(all, 3, baseline: 3).contains("too few to tell"))
    #expect(RankTest.least(7, 7) * 20 >= 0.01 && Comparison.runsNeeded(measures: 20) == 8)
  }

  @Test func `figures are the same after a catalogue has kept them`() throws {
    var random = SplitMix64(seed: 3)
    for figures in Self.runs(20, &random) {
      let kept = try #require(RunFigures(figures.value))
      #expect(kept == figures)
      // To the last digit, whatever the order in a dictionary.
      for measure in Measure.all(of: [figures]) {
        #expect(measure.value(kept) == measure.value(figures), "\(measure)")
      }
    }
    #expect(RunFigures(.object(["missing": .int(1)])) == nil)
  }
}

/// Measures and limits as they are written on the command line.
@Suite struct MeasureExpressionTests {
  private static func figures() -> RunFigures {
    var figures = RunFigures()
    figures.makespan = 12
    figures.classes = ["transfer": 3, "disk": 1, "computing": 20]
    for (name, p50) in [("load", 2.0), ("f(x)", 1.0), ("load-more", 4.0)] {
      var prefix = RunSummary.Prefix()
      (prefix.tasks, prefix.failed, prefix.nbytes) = (10, 1, 2048)
      prefix.computeP50 = Int64(p50 * 1e9)
      figures.prefixes[name] = prefix
    }
    return figures
  }

  @Test(arguments: [
    ("makespan", ["makespan"]), ("idle", ["idle"]), ("tasks(prefix=load)", ["tasks(prefix=load)"]),
    ("p50( prefix = load* )", ["p50(prefix=load)", "p50(prefix=load-more)"]),
    ("bytes(prefix='f(x)')", ["bytes(prefix='f(x)')"]),
    ("time(class='disk')", ["time(class=disk)"]),
    (
      "time(class=d*)",
      [
        "time(class=deserializing)", "time(class=disk)",
      ]
    ), ("p95(prefix=none)", []),
  ])
  func `a measure names one or several numbers`(text: String, names: [String]) throws {
    let found = try MeasureExpression(text, option: "trend").measures(of: [Self.figures()])
    #expect(found.map(\.text) == names)
    for measure in found {
      #expect(
        try MeasureExpression(measure.text, option: "trend").measures(of: [Self.figures()]) == [
          measure
        ])
    }
  }

  @Test(arguments: [
    ("makespan > 10s", true), ("makespan>12", false), ("makespan >= 12", true),
    ("makespan > 1.1x", true), ("makespan > 1.3x", false), ("failed > 0", true),
    ("failed(prefix=load)>1", false), ("p50(prefix=load) > 1500ms", true),
    ("bytes < 10KiB", true), ("missing != 0", false), ("time(class=transfer) > 2x", true),
    ("retried > 1x", false),
  ])
  func `a limit is exceeded or not`(text: String, hasFailed: Bool) throws {
    var base = Self.figures()
    base.makespan = 10
    base.classes["transfer"] = 1
    let results = try MeasureLimit(text).results(of: [Self.figures()], baseline: [base])
    #expect(results.map(\.hasFailed) == [hasFailed])
  }

  @Test(arguments: [
    ("speed > 1", "expected one of makespan, work"), ("makespan", "expected a comparison"),
    ("makespan > ", "expected a value such as 90s"), ("makespan > soon", "expected a value"),
    ("makespan > -1x", "expected a value"), ("makespan(prefix=a) > 1", "is of a whole run"),
    ("p95 > 1", "write such as p95(prefix=load)"),
    ("time > 1", "write such as time(class=transfer)"),
    ("p95(prefix=a > 1", "expected ')'"), ("p95(prefix='a) > 1", "a quote has no end"),
    ("p95(class=a) > 1", "expected p95(prefix=…)"), ("p95(prefix a) > 1", "expected '='"),
    ("time(class=sleep) > 1", "classes are computing, deserializing"), ("", "expected one of"),
    ("bytes > 1 parsec", "such as 500MB"), ("failed > many", "such as 0, 100"),
    ("failed > nan", "such as 0, 100"), ("makespan > infx", "expected a value"),
  ])
  func `a wrong limit is refused with what was expected`(text: String, reason: String) {
    #expect {
      try MeasureLimit(text)
    } throws: {
      let message = "\($0)"
      return message.hasPrefix("--fail-if '\(text)': ") && message.contains(reason)
    }
  }

  @Test func `what no run has is an error, not a limit that holds`() throws {
    for text in ["p50(prefix=gone) > 1", "p95(prefix=load) > 1"] {
      let limit = try MeasureLimit(text)
      #expect {
        try limit.results(of: [Self.figures()], baseline: [])
      } throws: {
        ($0 as? MeasureError)?.isUnknown == true
      }
    }
    let limit = try MeasureLimit("makespan > 1.5x")
    #expect(throws: MeasureError.self) { try limit.results(of: [Self.figures()], baseline: []) }
  }

  @Test func `JUnit XML is well-formed whatever a prefix is called`() throws {
    var figures = Self.figures()
    figures.prefixes["a<b&\"c\"\u{1}\n"] = figures.prefixes["load"]
    let results = try MeasureLimit("failed(prefix=a*) > 0").results(of: [figures], baseline: [])
    let text = JUnitXML.text(results, suite: "x<y")
    #expect(
      text == """
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites tests="1" failures="1" errors="0">
          <testsuite name="x&lt;y" tests="1" failures="1" errors="0">
            <testcase classname="tasklog.compare" name="failed(prefix=a*) &gt; 0 \
        [a&lt;b&amp;&quot;c&quot;\u{FFFD}&#10;]">
              <failure message="failed(prefix='a&lt;b&amp;&quot;c&quot;\u{FFFD}&#10;') is 1 \
        (limit: failed(prefix=a*) &gt; 0)"/>
            </testcase>
          </testsuite>
        </testsuites>

        """)
  }

  @Test func `numbers become bars, of many the largest`() {
    #expect(Sparkline.text([0, 1, 2, 4], width: 10) == "▁▃▅█")
    #expect(Sparkline.text([1, 1, 8, 1], width: 2) == "▂█")
    #expect(Sparkline.text([0, 0], width: 5) == "▁▁")
    #expect(Sparkline.text([], width: 5).isEmpty)
  }
}
