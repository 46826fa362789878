import EventLog
import LogFormat

/// What a scheduler measured of itself, every few seconds.
package struct SchedulerLoad: Sendable {
  /// In nanoseconds since 1970 UTC.
  package var time: Int64
  /// How late its event loop was, in seconds.
  package var late: Double?
  /// Between two ticks of its event loop, in seconds.
  package var interval: Double?
}

extension LogReader {
  /// The load of a run's scheduler.
  ///
  /// - Parameter scope: the part of the run: its time window.
  /// - Throws: `LogError`.
  package func schedulerLoad(of run: RunInfo, in scope: RunScope? = nil) throws -> [SchedulerLoad] {
    try translating {
      let select = try connection.prepare(
        """
        SELECT event.time, event.args ->> '$.late', event.args ->> '$.event_loop_interval'
        FROM hook_event JOIN event ON event.seq = hook_event.seq
        WHERE hook_event.hook = (SELECT id FROM text WHERE text = 'monitor')
          AND event.source IN (SELECT id FROM source WHERE run = ?)
        ORDER BY event.seq
        """)
      try select.bind(1, run.number)
      var loads: [SchedulerLoad] = []
      while try select.step() {
        let time = select.integer(0)
        guard scope?.window.contains(time) ?? true else { continue }
        loads.append(
          SchedulerLoad(
            time: time, late: select.optionalText(1).flatMap(Double.init),
            interval: select.optionalText(2).flatMap(Double.init)))
      }
      return loads
    }
  }
}
