import LogFormat
import TaskLogPlugin
import Testing

@testable import LogAnalysis

/// The output of Kubernetes and SLURM, and which workers it is about, on literals.
@Suite struct ManagerReportTests {
  private static func read(_ text: String) throws -> [ManagerReport] {
    try ManagerReport.read(text, path: "file").reports
  }

  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("1970-01-02T00:00:01Z", 86_401_000_000_000),
      ("2026-11-29T08:00:00Z", 1_795_939_200_000_000_000),
      ("2024-02-29T23:59:59.5Z", 1_709_251_199_500_000_000),
      ("2026-11-29T08:00:00.123456Z", 1_795_939_200_123_456_000),
      ("2026-11-29T10:30:00+02:30", 1_795_939_200_000_000_000),
      ("2026-11-29T03:00:00-05:00", 1_795_939_200_000_000_000),
      ("2026-11-29T08:00:00", nil), ("2026-11-29", nil), ("", nil), ("2026-13-01T00:00:00Z", nil),
      ("2026-11-29T08:00:00.Z", nil), ("2026-11-29T08:00:00Zx", nil), ("9999-01-01T00:00:00Z", nil),
      ("2026-11-29T08:00:00+", nil),
    ] as [(String, Int64?)])
  func `times are read as the managers write them`(text: String, time: Int64?) {
    #expect(UTCTime.nanoseconds(text) == time)
  }

  @Test func `events of both of Kubernetes' kinds say the same`() throws {
    let old = try Self.read(
      """
      {"kind": "List", "items": [{"kind": "Event", "reason": "Evicted", "message": "low on memory",
        "involvedObject": {"kind": "Pod", "namespace": "dask", "name": "w", "uid": "u"},
        "firstTimestamp": "1970-01-01T00:00:01Z", "lastTimestamp": "1970-01-01T00:00:02Z"}]}
      """)
    let new = try Self.read(
      """
      {"kind": "EventList", "items": [{"kind": "Event", "reason": "Evicted", "note": "low on memory",
        "regarding": {"kind": "Pod", "namespace": "dask", "name": "w", "uid": "u"},
        "eventTime": "1970-01-01T00:00:02.000000Z"}]}
      """)
    #expect(old == new && old.count == 1)
    #expect(old.first?.subject == .pod(namespace: "dask", name: "w", uid: "u"))
    #expect(old.first?.time == 2_000_000_000)
  }

  @Test func `a process that ran out of memory is named by its ID on the node`() throws {
    for message in [
      "System OOM encountered, victim process: dask, pid: 12",
      "Memory cgroup out of memory: Killed process 12 (dask) total-vm:1kB",
    ] {
      let reports = try Self.read(
        """
        {"kind": "Event", "reason": "OOMKilling", "message": "\(message)",
          "involvedObject": {"kind": "Node", "name": "n"}, "eventTime": null}
        """)
      #expect(reports.map(\.subject) == [.process(node: "n", pid: 12)])
      #expect(reports.first?.time == nil)
    }
  }

  @Test func `a job of SLURM is read as each of its versions writes it`() throws {
    let texts = [
      """
      {"jobs": [{"job_id": 12, "state": {"current": ["TIMEOUT"]}, "time": {"end": 5,
        "limit": {"set": true, "infinite": false, "number": 30}}}]}
      """,
      #"{"jobs": [{"job_id": 12, "state": {"current": "TIMEOUT"}, "time": {"end": 5, "limit": 30}}]}"#,
    ]
    for text in texts {
      let reports = try Self.read(text)
      #expect(reports.map(\.object) == ["job 12"] && reports.map(\.reason) == ["TIMEOUT"])
      #expect(reports.map(\.message) == ["limit 30 min"])
      #expect(reports.map(\.time) == [5_000_000_000])
    }
  }

  // MARK: - Joining

  private static func worker(
    _ identity: KeyValuePairs<String, Value>, seen: Int64? = 100, left: Int64? = 110,
    joined: Int64 = 0, name: String = #""w""#
  ) -> IdentifiedWorker {
    func ns(_ seconds: Int64?) -> Int64? { seconds.map { $0 * 1_000_000_000 } }
    return IdentifiedWorker(
      address: "tcp://w", life: 1, name: name,
      identity: HostIdentity(seq: 1, .object(identity), isOfNanny: false), joined: ns(joined),
      left: ns(left), lastSeen: ns(seen))
  }

  private static func found(
    _ workers: [IdentifiedWorker], _ subject: ManagerReport.Subject, _ reason: String = "Evicted",
    at time: Int64? = 105
  ) -> (workers: [Int], miss: ManagerJoin.Miss?) {
    let report = ManagerReport(
      manager: .kubernetes, subject: subject, reason: reason,
      time: time.map { $0 * 1_000_000_000 })
    switch ManagerJoin(workers).find(report) {
    case .success(let found): return (found.workers, nil)
    case .failure(let failure): return ([], failure.miss)
    }
  }

  private static let pod = ManagerReport.Subject.pod(namespace: "a", name: "p", uid: "u")

  @Test func `a pod is recognized by all that is known of it`() {
    #expect(Self.found([Self.worker(["pod": .string("p")])], Self.pod).workers == [0])
    #expect(
      Self.found([Self.worker(["pod": .string("p"), "podUID": .string("v")])], Self.pod).miss
        == .identity)
    #expect(
      Self.found([Self.worker(["pod": .string("p"), "namespace": .string("b")])], Self.pod).miss
        == .identity)
  }

  @Test func `a process in a container is not the one with this ID on the node`() {
    let process = ManagerReport.Subject.process(node: "n", pid: 7)
    let own: KeyValuePairs<String, Value> = ["hostname": .string("n"), "pid": .int(7)]
    #expect(Self.found([Self.worker(own)], process, "OOMKilling").workers == [0])
    let inPod: KeyValuePairs<String, Value> = [
      "node": .string("n"), "pod": .string("p"), "pid": .int(7),
    ]
    #expect(Self.found([Self.worker(inPod)], process, "OOMKilling").miss == .identity)
  }

  @Test(arguments: [
    // An eviction comes up to two minutes before the last heartbeat, and seven after the end.
    ("Evicted", -21, false), ("Evicted", -20, true), ("Evicted", 530, true),
    ("Evicted", 531, false), ("OOMKilled", 69, false), ("OOMKilled", 70, true),
    ("OOMKilled", 230, true), ("OOMKilled", 231, false), ("NodeNotReady", 1010, true),
    ("NodeNotReady", 1011, false),
  ])
  func `a report belongs to a worker that left at about that time`(
    reason: String, time: Int64, isFound: Bool
  ) {
    let worker = Self.worker(["pod": .string("p")], joined: -1000)
    let found = Self.found([worker], Self.pod, reason, at: time)
    #expect(found.workers == (isFound ? [0] : []) && found.miss == (isFound ? nil : .time))
  }

  @Test func `of workers that a nanny started one after the other it is about the nearest`() {
    let pod: KeyValuePairs<String, Value> = ["pod": .string("p")]
    let workers = [
      Self.worker(pod, seen: 80, left: 90), Self.worker(pod, seen: 100, left: 110),
      Self.worker(pod, seen: 100, left: 110, name: #""v""#),
    ]
    #expect(Self.found(workers, Self.pod).workers == [1, 2])
    #expect(Self.found(workers, Self.pod, at: 85).workers == [0, 2])
  }

  @Test func `without a time or an end nothing is joined`() {
    let pod: KeyValuePairs<String, Value> = ["pod": .string("p")]
    #expect(Self.found([Self.worker(pod)], Self.pod, at: nil).miss == .undated)
    #expect(Self.found([Self.worker(pod, left: nil)], Self.pod).miss == .present)
    // It was another life of the pod.
    #expect(Self.found([Self.worker(pod, joined: 108)], Self.pod).miss == .time)
  }
}
