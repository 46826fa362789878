import CSQLite
import Glibc
import LogFormat

/// Reads pages of events ahead in a thread, with its own connection, while earlier pages are
/// consumed.
///
/// SQLite's work for a row takes as long as everything that is done with the event afterwards, so
/// that doing both in parallel halves the time. The lock guards all mutable state.
final class PagePrefetcher: @unchecked Sendable {
  /// Maximum number of pages that are ready.
  private static let ahead = 2

  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let hasChanged = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var ready: [Result<EventPage, any Error>] = []
  /// Consumed pages, whose memory can be reused.
  private var used: [EventPage] = []
  private var isClosed = false
  private var thread: pthread_t?

  private init() {
    pthread_mutex_init(lock, nil)
    pthread_cond_init(hasChanged, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    pthread_cond_destroy(hasChanged)
    lock.deallocate()
    hasChanged.deallocate()
  }

  /// Starts reading; `nil` if that would not be faster or is not possible.
  ///
  /// - Parameters:
  ///   - position: the first page comes after it.
  ///   - number: the number of the first page.
  static func start(
    _ path: String, _ choice: PageReader.Choice, after position: Int64, number: Int32
  ) -> PagePrefetcher? {
    // https://sqlite.org/threadsafe.html: a library that was built for single-threaded use.
    guard sqlite3_threadsafe() != 0, ParallelThread.processors > 1,
      choice.horizon > position, choice.horizon - position > 4 * Int64(choice.pageSize)
    else { return nil }
    let pages = PagePrefetcher()
    pages.thread = ParallelThread.start { pages.read(path, choice, position, number) }
    return pages.thread == nil ? nil : pages
  }

  private func read(
    _ path: String, _ choice: PageReader.Choice, _ first: Int64, _ firstNumber: Int32
  ) {
    do {
      let reader = try PageReader(LogFile.openForReading(path), path: path, choice)
      var (position, number) = (first, firstNumber)
      while var page = room() {
        try reader.read(after: position, number, into: &page)
        position = page.position
        number &+= 1
        let isLast = page.isLast
        put(.success(consume page))
        if isLast { return }
      }
    } catch {
      put(.failure(error))
    }
  }

  /// A page to fill, as soon as there is room for it; `nil` if the consumer has stopped.
  private func room() -> EventPage? {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while ready.count >= Self.ahead, !isClosed { pthread_cond_wait(hasChanged, lock) }
    return isClosed ? nil : used.popLast() ?? EventPage()
  }

  private func put(_ page: Result<EventPage, any Error>) {
    pthread_mutex_lock(lock)
    ready.append(page)
    pthread_mutex_unlock(lock)
    pthread_cond_signal(hasChanged)
  }

  /// Returns the next page in exchange for one that is no longer needed.
  ///
  /// - Throws: the error that reading it has thrown.
  func next(for old: consuming EventPage) throws -> EventPage {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    used.append(old)
    while ready.isEmpty { pthread_cond_wait(hasChanged, lock) }
    let page = ready.removeFirst()
    pthread_cond_signal(hasChanged)
    return try page.get()
  }

  /// Stops reading and waits for the thread to end.
  func close() {
    pthread_mutex_lock(lock)
    isClosed = true
    pthread_mutex_unlock(lock)
    pthread_cond_signal(hasChanged)
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }
}
