import Synchronization
import TaskLogPlugin

/// Thrown by a task to be run again, on the same worker or another: Dask's `Reschedule`.
public struct Reschedule: Error {
  public init() {}
}

/// The context of a running task: its key, its worker, and a client to submit further tasks. Dask's
/// `get_client`, `get_worker`, `secede` and `rejoin`.
///
///     client.submit("plan") {
///       let context = TaskContext.current!
///       context.secede()
///       return try await context.client.gather(parts.map { context.client.submit("part") { … } })
///     }
public final class TaskContext: Sendable {
  /// The context of the calling task; `nil` outside of tasks.
  @TaskLocal public static var current: TaskContext?

  public let key: Key
  /// The address of the worker.
  public let worker: String
  /// Tasks that it submits from within a task run before those that were submitted together with
  /// that task.
  public let client: Client

  private let start: Double
  /// The threads of the worker, if the task runs on one of them.
  private let threads: ThreadPool?
  private let notifySeceded: @Sendable (_ computeSeconds: Double) -> Void
  private let hasSeceded = Atomic(false)

  init(
    key: Key, worker: String, client: Client, start: Double, threads: ThreadPool?,
    notifySeceded: @escaping @Sendable (_ computeSeconds: Double) -> Void
  ) {
    self.key = key
    self.worker = worker
    self.client = client
    self.start = start
    self.threads = threads
    self.notifySeceded = notifySeceded
  }

  /// Frees the task's slot among the running tasks and continues: Dask's `secede`. A task that
  /// waits for other tasks should secede, or they may never get a slot.
  public func secede() {
    guard !hasSeceded.exchange(true, ordering: .acquiringAndReleasing) else { return }
    threads?.secede()
    notifySeceded(Time.seconds() - start)
  }

  /// Waits until a thread of the worker is free, and takes its slot: Dask's `rejoin`. For the
  /// scheduler the task stays long-running. An async task has no thread and continues at once.
  public func rejoin() {
    if hasSeceded.exchange(false, ordering: .acquiringAndReleasing) { threads?.rejoin() }
  }

  /// Waits for a future from within a task that is not async; its thread is blocked meanwhile, so
  /// secede first.
  ///
  /// - Throws: as `Future.result()`.
  public func result<Output>(of future: Future<Output>) throws -> Output {
    let latch = Latch<Result<Output, any Error>>()
    Task {
      do {
        latch.open(.success(try await future.result()))
      } catch {
        latch.open(.failure(error))
      }
    }
    return try latch.wait().get()
  }

  /// Whether the thread that has run the task still belongs to the worker.
  var hasThread: Bool { !hasSeceded.load(ordering: .acquiring) }
}
