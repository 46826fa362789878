import TaskLogPlugin

/// The actions open to plugins. They are sent to the inbox, and so are carried out after the
/// current event.
final class PluginActions: SchedulerActions {
  private weak let server: SchedulerServer?

  init(_ server: SchedulerServer) {
    self.server = server
  }

  func add(_ plugin: any SchedulerPlugin) {
    // Hooks run in the isolation of the scheduler, and hooks call this.
    nonisolated(unsafe) let plugin = plugin
    server?.assumeIsolated { $0.enqueuePlugin(plugin) }
  }

  func logEvent(topic: String, message: Value) {
    send(.logEvent(topic: topic, message: message), "log-event")
  }

  func release(keys: [Key], client: String) {
    send(.clientReleasesKeys(client: client, keys: keys), "client-releases-keys-plugin")
  }

  func cancel(keys: [Key], client: String, force: Bool) {
    send(.cancel(client: client, keys: keys, force: force), "cancel-key-plugin")
  }

  func retire(workers: [String]) {
    send(.retireWorkers(workers), "retire-workers-plugin")
  }

  private func send(_ stimulus: SchedulerStimulus, _ stimulusID: String) {
    server?.send(.stimulus(stimulus, stimulusID: stimulusID))
  }
}
