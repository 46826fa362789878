import TaskLogPlugin

/// The args of a task's end about its run, as values.
package struct RunArgs: Sendable {
  package var worker: String?
  /// The worker's ID of its thread; Dask's are addresses.
  package var thread: Int64?
  package var nbytes: Int64?
  package var typeName: String?
  package var exception: String?
  package var traceback: String?
  /// The task that it failed because of, which is not in the args.
  package var blamed: String?
  package var spans: [WorkSpan] = []

  package init() {}

  package init(_ json: String) {
    var json = json
    self = json.withUTF8 { RunArgs($0) }
  }

  private init(_ json: UnsafeBufferPointer<UInt8>) {
    let scan = OutcomeScan(json, retainsSpans: true)
    func bytes(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
      UnsafeBufferPointer(rebasing: json[range])
    }
    func text(_ content: Range<Int>) -> String { OutcomeScan.text(bytes(content)) }
    func recordedText(_ range: Range<Int>) -> String? { OutcomeScan.recordedText(bytes(range)) }
    worker = scan.worker.map(text)
    thread = scan.thread
    nbytes = scan.nbytes
    typeName = scan.typename.flatMap(recordedText)
    exception = scan.exception.flatMap(recordedText)
    traceback = scan.traceback.flatMap(recordedText)
    spans = scan.spans.map { span in
      WorkSpan(
        StartStop(
          action: text(span.action), start: span.start, stop: span.stop,
          source: span.source.map(text)))
    }
  }
}
