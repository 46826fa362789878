import Testing

@testable import TaskLogPlugin

@Suite struct NameTests {
  @Test func `every state is restored from its name`() {
    for state in State.known { #expect(State(state.name) == state) }
    #expect(Set(State.known.map(\.name)).count == State.known.count)
  }

  @Test func `states are spelled as in Dask`() {
    #expect(State.noWorker.name == "no-worker")
    #expect(State.longRunning.name == "long-running")
    #expect(State.erred != State.error)
  }

  @Test(arguments: ["", "noWorker", "Released", "released ", "from the future"])
  func `an unknown state is kept`(name: String) {
    #expect(State(name) == .other(name))
    #expect(State(name).name == name)
  }

  @Test func `every hook is restored from its name`() {
    for hook in Hook.known { #expect(Hook(hook.name) == hook) }
    #expect(Hook.known.map(\.name) == Hook.known.map { String(describing: $0) })
    #expect(Set(Hook.known.map(\.name)).count == Hook.known.count)
  }

  @Test(arguments: ["", "update_graph", "Start", "other", "from the future"])
  func `an unknown hook is kept`(name: String) {
    #expect(Hook(name) == .other(name))
    #expect(Hook(name).name == name)
  }
}
