/// The parts of a stimulus: `update-graph-1795887194.59433`, `task-finished-w0.1`, `steal-21`.
struct StimulusForm {
  /// What happened, if it is one of those that Dask and our own engine report.
  var kind: String?
  /// What is between the kind and the number.
  var rest: String
  /// The time or the number at the end, with what separates it.
  var suffix: String

  init(_ text: String) {
    let bytes = Array(text.utf8)
    var end = bytes.count
    while end > 0, (0x30...0x39).contains(bytes[end - 1]) { end -= 1 }
    // A time has a fraction.
    if end > 1, bytes[end - 1] == UInt8(ascii: "."), (0x30...0x39).contains(bytes[end - 2]) {
      var start = end - 1
      while start > 0, (0x30...0x39).contains(bytes[start - 1]) { start -= 1 }
      if start == 0 || bytes[start - 1] == UInt8(ascii: "-") { end = start }
    }
    if end > 0, end < bytes.count, [UInt8(ascii: "-"), UInt8(ascii: ".")].contains(bytes[end - 1]) {
      end -= 1
    } else if end < bytes.count, end > 0 {
      // Digits that belong to a name.
      end = bytes.count
    }
    suffix = String(decoding: bytes[end...], as: UTF8.self)
    let name = String(decoding: bytes[..<end], as: UTF8.self)
    if Self.kinds.contains(name) {
      (kind, rest) = (name, "")
      return
    }
    // Our own engine adds who numbers it: the scheduler, a worker, or a part of a client's id.
    if let dash = name.lastIndex(of: "-"),
      Self.kinds.contains(String(name[..<dash]))
    {
      let owner = name[dash...].dropFirst()
      kind = String(name[..<dash])
      if owner == "s" || owner.first == "w" && owner.utf8.dropFirst().allSatisfy(Self.isDigit) {
        kind = name
        rest = ""
      } else {
        rest = String(owner)
      }
      return
    }
    (kind, rest) = (nil, name)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  /// What stimuli begin with, in Dask and in our own engine.
  private static let kinds: Set<String> = Set(
    """
    active_memory_manager cancel-key cancelled-by-worker-close check-no-workers-timeout \
    check-worker-ttl client-connect client-disconnect client-releases-keys client-restart \
    client-restart-workers close compute compute-task delete-data ensure-communicating \
    execute-unknown-error find-missing gather gather-dep-busy gather-dep-failed \
    gather-dep-network-failure gather-dep-success handle-missing-data handle-worker-cleanup \
    heartbeat multiprogress-setup nanny-close p2p-barrier-inconsistent \
    p2p-retire-worker progress-setup rebalance redundant-replicas remove-client remove-worker \
    replicate reschedule restart retire-workers retry retry-busy-worker scatter secede \
    send-all-comm-fail start steal stimulus-retry task-erred task-finished update-data \
    update-graph update-graph-hlg worker-client-secede worker-close worker-close-gracefully \
    worker-closing worker-connect worker-send-comm-fail worker-status-change
    """.split(separator: " ").map(String.init))
}
