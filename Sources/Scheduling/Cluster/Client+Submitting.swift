import TaskLogPlugin

/// Tasks that are submitted.
extension Client {
  /// Submits a task whose parameters are the results of others.
  ///
  ///     let sum = client.submit("add", a, b) { $0 + $1 }
  ///
  /// - Parameters:
  ///   - name: what it does; the beginning of its key.
  ///   - key: its key; by default made from the name, never the same twice. A key that is known
  ///     already gives a future of the task that has it.
  ///   - priority: higher runs first.
  ///   - retries: how often it may fail before it errs.
  ///   - workers: addresses of the workers that may run it; all may by default.
  ///   - allowOtherWorkers: others may as well when none of these is there.
  ///   - resources: what a worker must have for it to run there, and what it takes up while it does.
  ///   - annotations: what plugins are to be told of it; Dask's `dask.annotate`.
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

  /// Submits a task whose parameter is an array of the results of others.
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
  /// - Parameter keys: the key of each; by default made from the name and a number.
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
