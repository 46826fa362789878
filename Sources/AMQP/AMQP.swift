//===----------------------------------------------------------------------===//
// AMQP: events to and from RabbitMQ.
//
// What it does: one connection with one channel to a broker, publishing with confirms for
// `Recording`'s publisher, and consuming for its queue recorder. They define the content of a
// message and when it counts as done.
//
// What it may import: Recording and the modules below it, and librabbitmq, in the package trait
// `RabbitMQ`. Without the trait, addresses are still parsed, and opening a connection fails with an
// error that says how to enable it. No Foundation: this module is part of the library for Python.
//
// What it promises: TLS verifies the broker. No password is ever printed. No call blocks for ever:
// each one has a time limit, even if the broker hangs.
//===----------------------------------------------------------------------===//

/// Whether this build of tasklog includes RabbitMQ.
public let hasRabbitMQ: Bool = {
  #if RabbitMQ
    true
  #else
    false
  #endif
}()
