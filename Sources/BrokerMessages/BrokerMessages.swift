//===----------------------------------------------------------------------===//
// BrokerMessages: events as messages of a broker.
//
// What it does: Encodes events as messages, decodes messages, stores what comes out of a queue
// exactly once, and iterates over the parts of a run that several queues delivered.
//
// What it may import: EventLog and what is below it. Nothing from Foundation.
//
// What it promises: Events are stored exactly once under their run and source, whatever the
// order of delivery.
//===----------------------------------------------------------------------===//
