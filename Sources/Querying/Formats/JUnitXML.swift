import LogAnalysis

/// The results of a comparison as JUnit XML, which servers of continuous integration show.
package enum JUnitXML {
  /// A test case for each result.
  ///
  /// - Parameter name: that of the suite.
  package static func text(_ results: [MeasureLimit.Result], suite name: String) -> String {
    let failures = results.count(where: \.hasFailed)
    let counts = "tests=\"\(results.count)\" failures=\"\(failures)\" errors=\"0\""
    var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites \(counts)>\n"
    text += "  <testsuite name=\"\(escaped(name))\" \(counts)>\n"
    for result in results {
      let title = result.limit.text + (result.measure.prefix.map { " [\($0)]" } ?? "")
      text += "    <testcase classname=\"tasklog.compare\" name=\"\(escaped(title))\""
      text +=
        result.hasFailed
        ? ">\n      <failure message=\"\(escaped(result.text))\"/>\n    </testcase>\n" : "/>\n"
    }
    return text + "  </testsuite>\n</testsuites>\n"
  }

  /// What XML does not allow at all is replaced.
  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "\t", "\n", "\r": escaped += "&#\(scalar.value);"
      case "\u{0}"..<" ", "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
