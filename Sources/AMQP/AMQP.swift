//===----------------------------------------------------------------------===//
// AMQP: events to and from RabbitMQ.
//
// What it does: one connection to a broker with its channel, publishing with confirms for
// `Recording`'s publisher, and consuming for its recorder of messages. What a message holds, and
// when one counts as done, is theirs to say.
//
// What it may import: Recording and what lies below it, and librabbitmq, in the package trait
// `RabbitMQ`. Without the trait addresses are still understood, and whoever wants a connection is told
// how to get one. Nothing from Foundation: it is part of the library for Python.
//
// What it promises: TLS verifies whom it talks to. No password is ever printed. No call waits for
// ever: every one has a time limit, also when the broker hangs.
//===----------------------------------------------------------------------===//

/// Whether this tasklog was built with RabbitMQ.
public let hasRabbitMQ: Bool = {
  #if RabbitMQ
    true
  #else
    false
  #endif
}()
