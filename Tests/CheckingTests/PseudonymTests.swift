import EventLog
import TaskLogPlugin
import Testing

@testable import LogMaintenance

/// The forms that pseudonyms of names have.
@Suite struct PseudonymTests {
  private let pseudonyms = Pseudonyms()

  @Test func `an address stays one, and a host is the same wherever it is named`() throws {
    let one = pseudonyms.name("tcp://192.168.7.21:4000")
    let other = pseudonyms.name("tls://192.168.7.21:4001")
    let host = pseudonyms.name("192.168.7.21")
    #expect(one == "tcp://\(host):4000")
    #expect(other == "tls://\(host):4001")
    #expect(host.wholeMatch(of: /10\.\d{1,3}\.\d{1,3}\.\d{1,3}/) != nil)
    #expect(pseudonyms.name("192.168.7.22") != host)
    let named = pseudonyms.name("node-12.example.org")
    #expect(pseudonyms.name("tcp://node-12.example.org:80") == "tcp://\(named):80")
    #expect(named.wholeMatch(of: /n[0-9a-f]{16}/) != nil)
    let wide = pseudonyms.name("2001:db8::17")
    #expect(pseudonyms.name("tcp://[2001:db8::17]:80") == "tcp://[\(wide)]:80")
    #expect(wide.hasPrefix("fd00::"))
    let process = pseudonyms.process(4711)
    #expect(pseudonyms.name("inproc://192.168.7.21/4711/3") == "inproc://\(host)/\(process)/3")
    #expect((1..<(1 << 22)).contains(process))
  }

  @Test(arguments: ["localhost", "127.0.0.1", "tcp://127.0.0.1:80", "::1", ""])
  func `a name of the machine itself stays`(name: String) {
    #expect(pseudonyms.name(name) == name)
  }

  @Test(arguments: [
    "https://intranet/secret", "tcp://user@host:1", "s3://bucket/key", "tcp://a b:1", "tcp://h:x",
    "tcp://h:5559876543",
  ])
  func `what is more than an address is a name`(text: String) {
    #expect(pseudonyms.name(text).wholeMatch(of: /n[0-9a-f]{16}/) != nil)
  }

  @Test func `an id of Dask keeps its form`() {
    let id = "ca3f5cb1-eb51-11f1-82b3-02fc00000001"
    for kind in ["Client-", "Client-worker-", "Scheduler-", "Worker-", ""] {
      let pseudonym = pseudonyms.name(kind + id)
      #expect(pseudonym.hasPrefix(kind) && pseudonym.count == (kind + id).count)
      #expect(!pseudonym.contains("02fc00000001"))
    }
    #expect(pseudonyms.name("Client-alice-" + id).wholeMatch(of: /n[0-9a-f]{16}/) != nil)
  }

  @Test(arguments: [
    ("update-graph-1795887194.59433", "update-graph-1795887194.59433"), ("steal-21", "steal-21"),
    ("task-finished-w0.12", "task-finished-w0.12"), ("start-s.1", "start-s.1"),
    ("secret", "N"), ("secret-17", "N"), ("secret-17.5", "N"), ("my-stimulus2", "N"),
    ("account-5559876543", "N"), ("5559876543", "N"), ("", ""), ("start-w一二.1", "start-N.1"),
    ("update-graph-bfab78fe.1", "update-graph-N.1"), ("compute", "compute"),
  ])
  func `a stimulus keeps its kind and its time`(stimulus: String, expected: String) {
    let found = pseudonyms.stimulus(stimulus).replacing(/n[0-9a-f]{16}/, with: "N")
    #expect(found == expected)
  }

  @Test func `equal types and equal messages of exceptions stay equal`() throws {
    let texts = [
      "ValueError('a')", "ValueError('b')", "KeyError('a')", "OSError()", "Problem: a", "a",
    ]
    let found = texts.map { pseudonyms.exception($0) }
    #expect(Set(found).count == texts.count)
    #expect(found[0].prefix(9) == found[1].prefix(9))
    #expect(found[0].dropFirst(9) == found[2].dropFirst(9))
    #expect(found[0].wholeMatch(of: /E[0-9a-f]{8}\('[0-9a-f]{12}'\)/) != nil)
    #expect(found[3].hasSuffix("()"))
    #expect(found[4].wholeMatch(of: /E[0-9a-f]{8}: [0-9a-f]{12}/) != nil)
    #expect(found[0].hasPrefix(pseudonyms.exceptionType("ValueError")))
    let kept = Pseudonyms(keeping: [.exceptions])
    #expect(texts.map { kept.exception($0) } == texts)
  }

  @Test(
    arguments: [
      ("3.11.7.final.0", "3.11.7.final.0"), ("2026.8.0", "2026.8.0"), ("2.1.0rc1", "2.1.0rc1"),
      ("2.1+acme.7", "2.1"), ("6.1.0-acme-amd64", "6.1.0"), ("2.0.dev4", "2.0.dev4"), ("64", "64"),
      ("acme", nil), ("20260131", nil), ("2", "2"), ("1.acme", nil), ("2.0.0.dev0+1.acme", "2.0.0"),
      ("1.2.3rc1.dev4", "1.2.3rc1.dev4"), ("2.1.0.post1", "2.1.0.post1"), ("10.1.2.3", nil),
      ("10.1.2.3-acme", nil), ("10.1.2.3.dev", nil), ("5559876543.1", nil), ("2001:db8::1", nil),
      ("3.11.7.final.0.1", nil), ("10.0.19045", "10.0.19045"),
    ] as [(String, String?)])
  func `of a version only the release stays`(version: String, expected: String?) {
    #expect(VersionText.known(version) == expected)
  }

  /// Fields of which the content is known, with something else in them.
  @Test(arguments: [
    #"{"tasks":{"$tuple":[{"file":"secret"}]}}"#, #"{"key":{"$tuple":["secret",["secret"]]}}"#,
    #"{"keys":{"$tuple":[{"$tuple":[{"secret":1},{"$bytes":"c2VjcmV0"}]}]}}"#,
    #"{"cause":{"$tuple":[{"$set":["secret"]},{"$opaque":"secret"},null,true]}}"#,
    #"{"dependencies":{"$tuple":[{"$python":{"type":"secret","repr":"secret"}}]}}"#,
    #"{"dependents":[{"$tuple":[{"$frozenset":[{"$shared":["secret",["secret"]]}]}]}]}"#,
    #"{"waitingOn":{"$map":[[{"$tuple":[["secret"]]},1],[{"$bytes":"c2VjcmV0"},2]]}}"#,
    #"{"who_has":{"$map":[[["secret"],[]],[{"$tuple":[{"secret":3}]},[]]]}}"#,
    #"{"priority":{"$map":[[{"$capped":{"bytes":6,"head":"secret"}},1]]}}"#,
    #"{"erredTasks":[[{"$tuple":[["secret"]]},1,[],"",""]]}"#,
    #"{"exception":{"secret":3,"secret2":["x"],"secret3":{"secret":null}}}"#,
    #"{"exception":{"type":["secret"],"description":{"secret":1},"secret":"secret"}}"#,
    #"{"name":{"$shared":["secret",1]},"keys":{"$shared":[{"secret":1},2]}}"#,
    #"{"reason":"secret-5559876543","stimulus_id":"5559876543","packages":{"dask":"10.1.2.3"}}"#,
    #"{"SLURM_JOB_END_TIME":"nan(secret)"}"#,
  ]) func `no field lets text pass that does not belong there`(json: String) throws {
    for kept in [[], [.keys], [.exceptions]] as [Set<KeptName>] {
      let pseudonyms = Pseudonyms(keeping: kept)
      let values = ValueAnonymizer(pseudonyms)
      let value = try JSONReader.value(json, opensShared: false)
      _ = values.anonymous(value, .fields)
      pseudonyms.keys.prepare()
      values.isCollecting = false
      let text = JSONWriter.text(values.anonymous(value, .fields))
      for secret in ["secret", "c2VjcmV0", "5559876543", "10.1.2.3"] {
        #expect(!text.contains(secret), "\(kept) \(text)")
      }
    }
  }

  @Test func `a key with a value that is none has a pseudonym`() throws {
    let key = Key(text: "secret-1", typed: #"{"$tuple":["secret",{"secret":["secret"]}]}"#)
    pseudonyms.keys.collect(key)
    pseudonyms.keys.collect("load-1")
    pseudonyms.keys.prepare()
    let pseudonym = pseudonyms.keys.pseudonym(of: key)
    #expect(!pseudonym.text.contains("secret") && !pseudonym.typed.contains("secret"))
    #expect(pseudonym != pseudonyms.keys.pseudonym(of: "load-1"))
    let value = pseudonyms.keys.pseudonym(of: .tuple([.int(3), .list(["secret"]), .bytes([1])]))
    #expect(value == .tuple([.int(3), .null, .null]))
  }

  @Test func `a field that is not known has pseudonyms for all its text`() throws {
    let values = ValueAnonymizer(pseudonyms)
    pseudonyms.keys.collect("load-1")
    pseudonyms.keys.prepare()
    values.isCollecting = false
    let secret = Value.object([
      "secret": .list([
        .string("secret"), .int(5), .bool(true), .object(["memory": .string("memory")]),
      ]),
      "state": .string("secret"), "status": .string("running"), "op": .string("load-1"),
      "text": .string("secret"), "other": .tagged("$hologram", .string("secret")),
      "cut": .tagged("$capped", .object(["bytes": .int(9), "head": .string("secret")])),
      "deep": .tagged(
        "$python", .object(["type": "secret", "repr": "secret", "pickle": .bytes([1])])),
      "wide": .wtf8(Array("secret".utf8)), "raw": .bytes(Array("secret".utf8)),
    ])
    let text = JSONWriter.text(values.anonymous(secret, .fields))
    #expect(!text.contains("secret") && !text.contains("c2VjcmV0") && !text.contains("load"))
    #expect(text.contains(#""status":"running""#) && text.contains("5,true"))
    #expect(!text.contains("memory"))
    #expect(values.removed.messages == 1)
    let unreadable = values.args(Args(recorded: .null).content, of: .transition)
    #expect(unreadable == Args(recorded: .null))
  }
}
