/// A regular expression that searches any text in time that is linear in its length, in memory that does
/// not depend on it.
///
/// There are no back-references and no look-around, which cannot be searched for so. Of a match, only
/// that there is one is known.
package final class RegularExpression {
  /// Why a pattern is invalid.
  package struct Malformed: Error, Sendable {
    package var reason: String
  }

  private var automaton: LazyAutomaton

  /// How often its states took too much memory.
  var timesForgotten: Int { automaton.timesForgotten }

  /// - Throws: `Malformed`.
  package init(_ pattern: String) throws(Malformed) {
    automaton = LazyAutomaton(try RegularProgram(try RegularParser.parse(pattern)))
  }

  /// Whether there is a match anywhere in a text in UTF-8; bytes that are no character match nothing.
  ///
  /// - Parameter isInterrupted: asked now and then.
  /// - Returns: `nil` if it was interrupted.
  package func matches(
    _ text: UnsafeBufferPointer<UInt8>, unless isInterrupted: () -> Bool = { false }
  ) -> Bool? {
    automaton.matches(text, unless: isInterrupted)
  }
}
