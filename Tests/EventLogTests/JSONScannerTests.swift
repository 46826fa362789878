import TaskLogPlugin
import TestSupport
import Testing

@testable import LogFormat

@Suite struct JSONScannerTests {
  private func isWhole(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
      var scanner = JSONScanner(bytes)
      return scanner.skip() && scanner.peek() == 0
    }
  }

  @Test func `what the reader reads is skipped as a whole, and truncated text is not`() throws {
    let text = #"{"a":[1,-2.5e+3,{"$tuple":["x\"\u00e9\\",null]}],"b":{},"c":[],"d":true}"#
    _ = try JSONReader.value(text)
    #expect(isWhole(text))
    for count in 0..<text.utf8.count {
      #expect(!isWhole(String(decoding: text.utf8.prefix(count), as: UTF8.self)))
    }
  }

  @Test func `a read of another kind of value consumes nothing`() {
    var text = #" {"a":"x\q","b":1} "#
    text.withUTF8 { bytes in
      for (start, isObject) in [(0, false), (6, false), (16, true)] {
        var scanner = JSONScanner(bytes, from: start)
        _ = scanner.peek()
        let offset = scanner.offset
        #expect(scanner.string() == nil && scanner.offset == offset)
        #expect(!scanner.elements { _ = $0.token() } && scanner.offset == offset)
        #expect(!scanner.members { _ = $1.token() } && scanner.offset == offset)
        #expect(isObject == (scanner.token() != nil))
      }
    }
  }

  @Test(arguments: [
    #"{"a":{"b","c":1},"d":2}"#, #"{"a":"x\q,"b":1}"#, #"{"a":{"$tuple":[1],"x":1,},"d":2}"#,
    #"{"a":[1,{"b" 2}],"d":2}"#, #"{"a":[1,2"d":2}"#, #"{"a":01}"#, #"{"a":1,}"#, #"{"a":-}"#,
  ])
  func `an object with a damaged part is invalid, whichever part is read`(_ text: String) {
    func isObject(_ read: (inout JSONScanner) -> Void) -> Bool {
      var text = text
      return text.withUTF8 { bytes in
        var scanner = JSONScanner(bytes)
        return scanner.members { _, scanner in read(&scanner) }
      }
    }
    #expect(throws: JSONError.self) { try JSONReader.value(text) }
    #expect(!isObject { _ in })
    #expect(!isObject { _ = $0.token() })
    #expect(!isObject { _ = $0.string() })
    #expect(!isObject { _ = $0.number() })
    #expect(!isObject { _ = $0.integer() })
    #expect(!isObject { $0.members { _, scanner in _ = scanner.token() } })
    #expect(!isObject { $0.elements { _ = $0.token() } })
  }

  @Test func `only an object with nothing but its tag is a tuple`() {
    func elements(_ text: String) -> [Int64]? {
      var text = text
      return text.withUTF8 { bytes in
        var scanner = JSONScanner(bytes)
        var elements: [Int64] = []
        let isList = scanner.elements { scanner in scanner.integer().map { elements.append($0) } }
        return isList && scanner.peek() == 0 ? elements : nil
      }
    }
    for tag in ["$tuple", "$set", "$frozenset"] {
      #expect(elements(#"{ "\#(tag)" : [1, 2] }"#) == [1, 2])
      for other in [#""\#(tag)":[1],"x":2"#, #""x":2,"\#(tag)":[1]"#, #""\#(tag)":1"#] {
        #expect(elements("{\(other)}") == nil)
        #expect((try? JSONReader.value("{\(other)}"))?.elements == nil)
      }
    }
    #expect(elements(#"{"$other":[1]}"#) == nil)
    #expect(elements("[]") == [])
  }

  @Test func `numbers equal those of the reader`() throws {
    var random = Randomness.generator(81)
    let fixed = [
      "0", "-0", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
      "-9223372036854775809", "18446744073709551616", "1e3", "1E-400", "1e400", "-0.0", "1.5e+3",
      "0.1000000000000000055511151231257827021181583404541015625", "1795580615.2141147",
    ]
    let random100 = (0..<Randomness.count).map { _ in
      let value = random.double()
      return random.once(in: 2) || !value.isFinite
        ? "\(random.int())" : JSONWriter.text(.double(value))
    }
    for text in fixed + random100 {
      let value = try? JSONReader.value(text)
      var copy = text
      copy.withUTF8 { bytes in
        var scanner = JSONScanner(bytes)
        #expect(scanner.integer() == value?.int, "\(text)")
        scanner = JSONScanner(bytes)
        guard let number = scanner.number() else {
          #expect(value?.number == nil, "\(text)")
          return
        }
        if case .bigInt? = value { return #expect(number == Double(text)) }
        #expect(number.bitPattern == value?.number?.bitPattern, "\(text)")
      }
    }
  }
}
