import Glibc
import ProbeSupport
import Recording
import TaskLogPlugin

//===----------------------------------------------------------------------===//
// Measurements that require a separate process:
//
//     recording-probe allocations LOG   prints how many allocations 1,000 events without args make
//                                       on the thread that records them
//     recording-probe fork LOG          records 100 events, forks, records 50 in the child and 100
//                                       more in the parent
//===----------------------------------------------------------------------===//

private func event(_ number: Int) -> Event {
  Event(
    .transition, time: Int64(number), key: Key("task-5f3c9a1e", number % 7), start: .waiting,
    finish: .processing, stimulusID: "a stimulus that is no small text",
    worker: "tcp://127.0.0.1:40331", taskRunID: 7)
}

private func countAllocations(_ channel: any EventChannel) -> UInt64 {
  let events = (0..<1000).map(event)
  // The first events allocate the memory that the later ones use.
  for event in events { channel.record(event) }
  let before = probe_allocations()
  // Not a `for` loop, whose iterator allocates in a build without optimization.
  var place = 0
  while place < events.count {
    channel.record(events[place])
    place += 1
  }
  return probe_allocations() - before
}

private func recordBeforeAndAfterFork(_ channel: any EventChannel, _ recorder: Recorder) {
  for number in 0..<100 { channel.record(event(number)) }
  let child = probe_fork()
  if child == 0 {
    for number in 0..<50 { channel.record(event(number)) }
    recorder.close()
    // Without the cleanup at exit, which is the parent's.
    _exit(0)
  }
  for number in 100..<200 { channel.record(event(number)) }
  var status: Int32 = 0
  waitpid(child, &status, 0)
  recorder.close()
  print("child ended with \(status)")
}

@main
enum Probe {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3 else { exit(64) }
    let recorder = try Recorder(log: arguments[2])
    let channel = recorder.channel(
      for: Source(kind: .scheduler, id: "Scheduler-probe", address: "inproc://probe"))
    switch arguments[1] {
    case "allocations":
      print(countAllocations(channel))
      recorder.close()
    case "fork": recordBeforeAndAfterFork(channel, recorder)
    default: exit(64)
    }
  }
}
