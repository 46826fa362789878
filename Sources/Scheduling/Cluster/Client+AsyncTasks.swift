import TaskLogPlugin

/// Async tasks: they occupy one of the worker's slots for running tasks, but none of its threads.
///
/// A task that waits long for other tasks should free its slot with `TaskContext.secede()`.
extension Client {
  /// Submits an async task whose parameters are the results of other tasks; see `submit` for the
  /// parameters.
  public func submit<each Input: Sendable, Output: Sendable>(
    _ name: String, _ inputs: repeat Future<each Input>, key: Key? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable (repeat each Input) async throws -> Output
  ) -> Future<Output> {
    let (keys, type) = (Self.keys(repeat each inputs), OutcomeType<Output>())
    return submit(
      key ?? makeKey(name), keys,
      SubmitOptions(priority, retries, workers, allowOtherWorkers, resources, annotations),
      "\(fileID):\(line)",
      .async { values in
        var inputs = Inputs(values, keys)
        return Outcome(try await run(repeat try inputs.next(Future<each Input>.self)), type)
      })
  }

  /// Submits an async task whose parameter is an array of the results of other tasks.
  public func submit<Input: Sendable, Output: Sendable>(
    _ name: String, all inputs: [Future<Input>], key: Key? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable ([Input]) async throws -> Output
  ) -> Future<Output> {
    let keys = inputs.map { $0.key }
    let type = OutcomeType<Output>()
    return submit(
      key ?? makeKey(name), keys,
      SubmitOptions(priority, retries, workers, allowOtherWorkers, resources, annotations),
      "\(fileID):\(line)",
      Self.asyncSpec(keys, type, run))
  }

  /// Submits an async task for each value, all in one graph.
  public func map<Input: Sendable, Output: Sendable>(
    _ name: String, _ values: [Input], keys: [Key]? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable (Input) async throws -> Output
  ) -> [Future<Output>] {
    let options = SubmitOptions(
      priority, retries, workers, allowOtherWorkers, resources, annotations)
    let type = OutcomeType<Output>()
    return map(name, values, keys, options, "\(fileID):\(line)") { value in
      ([], .async { _ in Outcome(try await run(value), type) })
    }
  }

  /// Submits an async task for each group of futures, all in one graph; its parameter is an array
  /// of their results.
  public func map<Input: Sendable, Output: Sendable>(
    _ name: String, all groups: [[Future<Input>]], keys: [Key]? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable ([Input]) async throws -> Output
  ) -> [Future<Output>] {
    let options = SubmitOptions(
      priority, retries, workers, allowOtherWorkers, resources, annotations)
    let type = OutcomeType<Output>()
    return map(name, groups, keys, options, "\(fileID):\(line)") { group in
      let keys = group.map { $0.key }
      return (keys, Self.asyncSpec(keys, type, run))
    }
  }
}
