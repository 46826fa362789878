import AMQP
import CSupport
import EventLog
import Glibc
import Migrations
import Recording
import TaskLogPlugin

//===----------------------------------------------------------------------===//
// A process that records until it is killed: the subject of the kill tests.
//
//     recording-victim LOG COUNTERS THREADS [SEGMENT-SIZE SPOOL-LIMIT]
//     recording-victim migrate LOG SQL-FILE
//
// The second one migrates a log to an unreleased version, with the SQL of the file.
//
// Each thread is a separate source. After each call that has returned it writes the number of its
// calls into the file COUNTERS, a word for each thread, which survives its death as the spool does.
// With TASKLOG_VICTIM_ROTATES a file of the log has about this number of bytes. With
// TASKLOG_VICTIM_PUBLISHES, the address of a broker and a queue, it publishes instead, at a pace
// that a reader can follow, and LOG is the folder of the spool.
//===----------------------------------------------------------------------===//

private func die(_ message: String) -> Never {
  _ = Array((message + "\n").utf8).withUnsafeBytes {
    write(STDERR_FILENO, $0.baseAddress, $0.count)
  }
  exit(1)
}

private struct Job {
  var channel: any EventChannel
  var counter: UnsafeMutablePointer<UInt64>
  var number: Int
  var isPaced: Bool
}

private func record(_ job: Job) -> Never {
  let long = Value.string(String(repeating: "x", count: 200))
  var count: UInt64 = 0
  while true {
    let args: Args = count % 3 == 0 ? Args(named: [.init("text", long)]) : .none
    job.channel.record(
      Event(
        .transition, time: Int64(count), key: Key("task-\(job.number)", Int(count / 6)),
        start: .waiting, finish: .processing, stimulusID: "stimulus-\(count / 100)", args: args))
    count += 1
    tl_store_release(job.counter, count)
    if job.isPaced, count & 15 == 0 { usleep(2000) }
  }
}

/// Not a closure within `main`, which would belong to the main thread.
private func start(_ job: Job) {
  let argument = UnsafeMutablePointer<Job>.allocate(capacity: 1)
  argument.initialize(to: job)
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      record(argument.assumingMemoryBound(to: Job.self).pointee)
    }, argument)
}

@main
enum Victim {
  static func main() throws {
    let arguments = CommandLine.arguments
    if arguments.count == 4, arguments[1] == "migrate" {
      return try migrate(arguments[2], through: arguments[3])
    }
    let parent = getppid()
    guard arguments.count >= 4, let threads = Int(arguments[3]) else { die("wrong arguments") }
    let descriptor = open(arguments[2], O_RDWR)
    let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard descriptor >= 0, let page, page != MAP_FAILED else { die("no counters") }
    let counters = page.assumingMemoryBound(to: UInt64.self)

    var options = Recorder.Options()
    if arguments.count >= 6, let size = Int(arguments[4]), let limit = Int(arguments[5]) {
      options.segmentSize = size
      options.spoolLimit = limit
    }
    options.rotateBytes = getenv("TASKLOG_VICTIM_ROTATES").flatMap { Int64(String(cString: $0)) }
    let publishing = try getenv("TASKLOG_VICTIM_PUBLISHES").map { text in
      let words = String(cString: text).split(separator: " ").map(String.init)
      return try Publishing(
        to: words[0], queue: words[1], payload: .events(batch: 10), spool: arguments[1])
    }
    let recorder =
      if let publishing {
        try Recorder(publishing: publishing, options: options)
      } else {
        try Recorder(log: arguments[1], options: options)
      }
    for number in 0..<threads {
      let source = Source(
        kind: number == 0 ? .scheduler : .worker, id: "source-\(number)", address: "a/\(number)",
        name: .int(Int64(number)))
      start(
        Job(
          channel: recorder.channel(for: source), counter: counters + 8 * number, number: number,
          isPaced: publishing != nil))
    }
    // The process that started it may be killed as well; it must not fill the disk for ever.
    while getppid() == parent { sleep(1) }
    exit(1)
  }

  private static func migrate(_ log: String, through file: String) throws {
    let descriptor = open(file, O_RDONLY)
    var sql = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(descriptor, &sql, sql.count)
    guard count > 0 else { die("no migration") }
    let next = (version: Int32(Migrations.all.count + 1), sql: Array(sql[..<count]))
    try LogMigration.migrate(log, through: Migrations.all + [next])
  }
}
