import TaskLogPlugin

/// Preloads, and plugins added by plugins.
extension SchedulerServer {
  /// Sets preloads up and registers those that are also plugins, one after the other.
  func setUp(_ preloads: [any Plugin]) async {
    for one in preloads {
      if let preload = one as? any Preload {
        self.preloads.append(preload)
        do {
          try await preload.setup(scheduler: scheduler)
        } catch {
          host.handleError(error, of: preload.name, "setup")
        }
        await addPendingPlugins()
      }
      if let plugin = one as? any SchedulerPlugin { await add(plugin) }
    }
  }

  func tearDownPreloads() async {
    let preloads = preloads
    self.preloads = []
    for preload in preloads {
      do {
        try await preload.teardown(scheduler: scheduler)
      } catch {
        host.handleError(error, of: preload.name, "teardown")
      }
    }
  }

  /// Adds a plugin on behalf of a hook: it is started after the hook has returned.
  func enqueuePlugin(_ plugin: any SchedulerPlugin) {
    added.append(plugin)
    Task { await self.addPendingPlugins() }
  }

  func addPendingPlugins() async {
    while !added.isEmpty { await add(added.removeFirst()) }
  }
}
