import Scheduling
import TaskLogPlugin
import Testing

struct Broken: Error, CustomStringConvertible {
  var description: String { "broken on purpose" }
}

/// `#expect` that both are equal: inside of closures the macro cannot take `try await`.
func expect<T: Equatable>(
  _ value: T, is expected: T, at location: SourceLocation = #_sourceLocation
) {
  #expect(value == expected, sourceLocation: location)
}

func withCluster(
  workers: Int = 2, threads: Int = 1, allowedFailures: Int = 3,
  recorder: (any RecordingPlugin)? = nil, _ body: (LocalCluster) async throws -> Void
) async throws {
  let cluster = try await LocalCluster(
    workers: workers, threadsPerWorker: threads, allowedFailures: allowedFailures,
    recorder: recorder)
  do {
    try await body(cluster)
  } catch {
    await cluster.close()
    throw error
  }
  await cluster.close()
}
