import CSQLite
import Glibc
import LogFormat

/// Reads pages of events ahead in a thread, with a connection of its own, while those before them are
/// being taken.
///
/// What SQLite has to do for a row is as much as all that is done with the event afterwards, so that
/// both side by side take half of the time. The lock guards all that varies.
final class PagePrefetcher: @unchecked Sendable {
  /// How many pages lie ready at most.
  private static let ahead = 2

  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let hasChanged = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var ready: [Result<EventPage, any Error>] = []
  /// Pages that have been taken, whose memory can be used again.
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

  /// Begins to read; nothing where that would not be faster, or cannot be done.
  ///
  /// - Parameters:
  ///   - position: the first page lies behind it.
  ///   - number: that of the first page.
  static func start(
    _ path: String, _ choice: PageReader.Choice, after position: Int64, number: Int32
  ) -> PagePrefetcher? {
    // https://sqlite.org/threadsafe.html: a library that was built for one thread only.
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

  /// A page to fill, as soon as there is room for it; nothing when nobody takes any more.
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

  /// The next page, in place of one that is not needed any more.
  ///
  /// - Throws: what reading it has thrown.
  func next(for old: consuming EventPage) throws -> EventPage {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    used.append(old)
    while ready.isEmpty { pthread_cond_wait(hasChanged, lock) }
    let page = ready.removeFirst()
    pthread_cond_signal(hasChanged)
    return try page.get()
  }

  /// Nobody takes any more: waits for the thread to end.
  func close() {
    pthread_mutex_lock(lock)
    isClosed = true
    pthread_mutex_unlock(lock)
    pthread_cond_signal(hasChanged)
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }
}
