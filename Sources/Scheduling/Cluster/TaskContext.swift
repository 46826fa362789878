import Synchronization
import TaskLogPlugin

/// A task may throw this to be run anew, there or on another worker: Dask's `Reschedule`.
public struct Reschedule: Error {
  public init() {}
}

/// What a running task knows of itself: its key, its worker, and a client to submit further tasks
/// with. Dask's `get_client`, `get_worker`, `secede` and `rejoin`.
///
///     client.submit("plan") {
///       let context = TaskContext.current!
///       context.secede()
///       return try await context.client.gather(parts.map { context.client.submit("part") { … } })
///     }
public final class TaskContext: Sendable {
  /// That of the task that calls; nothing outside of tasks.
  @TaskLocal public static var current: TaskContext?

  public let key: Key
  /// The address of the worker.
  public let worker: String
  /// Tasks that it submits from within a task come before those that were submitted with the task.
  public let client: Client

  private let start: Double
  /// The threads of the worker, where the task has one of them.
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

  /// Leaves the task's place among the running tasks to another one, and goes on: Dask's `secede`. A
  /// task that waits for others should, or they may never get a place.
  public func secede() {
    guard !hasSeceded.exchange(true, ordering: .acquiringAndReleasing) else { return }
    threads?.secede()
    notifySeceded(Time.seconds() - start)
  }

  /// Waits until a thread of the worker is free, and takes its place: Dask's `rejoin`. To the
  /// scheduler the task stays long-running. An async task has no thread and goes on at once.
  public func rejoin() {
    if hasSeceded.exchange(false, ordering: .acquiringAndReleasing) { threads?.rejoin() }
  }

  /// Waits for a future from within a task that is not async; its thread is blocked meanwhile, so
  /// secede before.
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

  /// Whether the thread that has run the task is still one of the worker's.
  var hasThread: Bool { !hasSeceded.load(ordering: .acquiring) }
}
