#if !RabbitMQ
  import TestTraits
  import Testing

  /// A `tasklog` that was built without the package trait says how to get one with it.
  @Suite(.blocking) struct WithoutRabbitMQTests {
    @Test(arguments: [
      ["record", "--from", "amqp://127.0.0.1"],
      ["replay", "--plugin", "rabbitmq", "--option", "url=amqp://127.0.0.1"],
    ])
    func `a broker command says how to enable it`(arguments: [String]) throws {
      let folder = try TemporaryFolder()
      let before = folder.names
      let result = try Command.run(
        arguments, environment: ["TASKLOG_LOG": SampleLog.path], folder: folder.url)
      #expect(result.code == 1)
      #expect(result.output == "")
      #expect(
        result.errors
          == "tasklog: this tasklog was built without RabbitMQ; install librabbitmq-dev and build it "
          + "with 'swift build -c release --traits RabbitMQ'\n")
      #expect(folder.names == before)
    }

    @Test func `an invalid address is reported first`() throws {
      let result = try Command.run(["record", "--from", "nonsense"])
      #expect(result.code == 64)
      #expect(result.errors.hasPrefix("tasklog: nonsense: not the address of a broker"))
    }
  }
#endif
