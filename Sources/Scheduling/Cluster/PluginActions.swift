import TaskLogPlugin

/// What plugins may do: put into the inbox, and so carried out after the present event.
final class PluginActions: SchedulerActions {
  private weak let server: SchedulerServer?

  init(_ server: SchedulerServer) {
    self.server = server
  }

  func add(_ plugin: any SchedulerPlugin) {
    // Hooks are called in the isolation of the scheduler, and this by hooks.
    nonisolated(unsafe) let plugin = plugin
    server?.assumeIsolated { $0.addLater(plugin) }
  }

  func logEvent(topic: String, message: Value) {
    tell(.logEvent(topic: topic, message: message), "log-event")
  }

  func release(keys: [Key], client: String) {
    tell(.clientReleasesKeys(client: client, keys: keys), "client-releases-keys-plugin")
  }

  func cancel(keys: [Key], client: String, force: Bool) {
    tell(.cancel(client: client, keys: keys, force: force), "cancel-key-plugin")
  }

  func retire(workers: [String]) {
    tell(.retireWorkers(workers), "retire-workers-plugin")
  }

  private func tell(_ stimulus: SchedulerStimulus, _ stimulusID: String) {
    server?.send(.stimulus(stimulus, stimulusID: stimulusID))
  }
}
