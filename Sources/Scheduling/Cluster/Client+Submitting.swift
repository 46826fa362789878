import TaskLogPlugin

/// Submission of tasks.
extension Client {
  /// Submits a task whose parameters are the results of other tasks.
  ///
  ///     let sum = client.submit("add", a, b) { $0 + $1 }
  ///
  /// - Parameters:
  ///   - name: what the task does; the prefix of its key.
  ///   - key: the key; by default generated from the name and unique. If the key is already known,
  ///     the future is of the existing task.
  ///   - priority: higher runs first.
  ///   - retries: how often it may fail before it becomes erred.
  ///   - workers: addresses of the workers that may run it; all by default.
  ///   - allowOtherWorkers: whether other workers may run it if none of these is available.
  ///   - resources: what a worker must have to run it, reserved while it runs.
  ///   - annotations: passed to plugins; Dask's `dask.annotate`.
  public func submit<each Input: Sendable, Output: Sendable>(
    _ name: String, _ inputs: repeat Future<each Input>, key: Key? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable (repeat each Input) throws -> Output
  ) -> Future<Output> {
    let (keys, type) = (Self.keys(repeat each inputs), OutcomeType<Output>())
    return submit(
      key ?? makeKey(name), keys,
      SubmitOptions(priority, retries, workers, allowOtherWorkers, resources, annotations),
      "\(fileID):\(line)",
      .sync { values in
        var inputs = Inputs(values, keys)
        return Outcome(try run(repeat try inputs.next(Future<each Input>.self)), type)
      })
  }

  /// Submits a task whose parameter is an array of the results of other tasks.
  ///
  ///     let total = client.submit("sum", all: parts) { $0.reduce(0, +) }
  public func submit<Input: Sendable, Output: Sendable>(
    _ name: String, all inputs: [Future<Input>], key: Key? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable ([Input]) throws -> Output
  ) -> Future<Output> {
    let keys = inputs.map { $0.key }
    return submit(
      key ?? makeKey(name), keys,
      SubmitOptions(priority, retries, workers, allowOtherWorkers, resources, annotations),
      "\(fileID):\(line)", Self.spec(keys, OutcomeType(), run))
  }

  /// Submits a task for each value, all in one graph.
  ///
  ///     let sizes = client.map("size", paths) { try size(of: $0) }
  ///
  /// - Parameter keys: the key of each task; by default generated from the name and an index.
  public func map<Input: Sendable, Output: Sendable>(
    _ name: String, _ values: [Input], keys: [Key]? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable (Input) throws -> Output
  ) -> [Future<Output>] {
    let options = SubmitOptions(
      priority, retries, workers, allowOtherWorkers, resources, annotations)
    let type = OutcomeType<Output>()
    return map(name, values, keys, options, "\(fileID):\(line)") { value in
      ([], .sync { _ in Outcome(try run(value), type) })
    }
  }

  /// Submits a task for each group of futures, all in one graph; its parameter is an array of their
  /// results.
  ///
  ///     let sums = client.map("sum", all: groups) { $0.reduce(0, +) }
  public func map<Input: Sendable, Output: Sendable>(
    _ name: String, all groups: [[Future<Input>]], keys: [Key]? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    resources: KeyValuePairs<String, Double> = [:],
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable ([Input]) throws -> Output
  ) -> [Future<Output>] {
    let options = SubmitOptions(
      priority, retries, workers, allowOtherWorkers, resources, annotations)
    let type = OutcomeType<Output>()
    return map(name, groups, keys, options, "\(fileID):\(line)") { group in
      let keys = group.map { $0.key }
      return (keys, Self.spec(keys, type, run))
    }
  }
}
