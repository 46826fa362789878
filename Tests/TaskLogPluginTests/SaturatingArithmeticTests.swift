import Foundation
import Testing

@testable import TaskLogPlugin

/// Arithmetic on `Int64`, as in every module that reads a log.
@Suite struct SaturatingArithmeticTests {
  private let extremes: [Int64] = [
    .min, .min + 1, -(1 << 62), -3, -2, -1, 0, 1, 2, 3, 1 << 62, .max - 1, .max,
  ]

  /// The number closest to an exact result.
  private func closest(_ exact: Int128) -> Int64 {
    Int64(Swift.max(Int128(Int64.min), Swift.min(Int128(Int64.max), exact)))
  }

  @Test func `a result is the representable number closest to the exact one`() {
    for left in extremes {
      #expect(-left == closest(-Int128(left)))
      #expect(abs(left) == closest(Int128(left.magnitude)))
      for right in extremes {
        let (a, b) = (Int128(left), Int128(right))
        #expect(left + right == closest(a + b), "\(left) + \(right)")
        #expect(left - right == closest(a - b), "\(left) - \(right)")
        #expect(left * right == closest(a * b), "\(left) * \(right)")
        if right != 0 {
          #expect(left / right == closest(a / b), "\(left) / \(right)")
          #expect(left % right == closest(a % b), "\(left) % \(right)")
        }
      }
    }
  }

  @Test func `an assignment and a function value saturate, too`() {
    var number = Int64.max
    number += 1
    #expect(number == .max)
    number *= -2
    #expect(number == .min)
    number -= 1
    #expect(number == .min)
    let numbers: [Int64] = [.max, .max, -1]
    #expect(numbers.reduce(0, +) == .max - 1)
    #expect(numbers.reduce(1) { $0 + $1 } == .max - 1)
    let sum = numbers.reduce(into: Int64(1)) { sum, number in
      sum += number
      sum += 0
    }
    #expect(sum == .max - 1)
    var counts: [Int: Int64] = [1: .max]
    counts[1, default: 0] += 1
    #expect(counts[1] == .max)
  }

  @Test func `a division by zero has a result`() {
    let zero = extremes[6]
    #expect(Int64(5) / zero == .max && Int64(-5) / zero == .min && zero / zero == 0)
    #expect(Int64(5) % zero == 0 && zero % zero == 0)
    var number: Int64 = 7
    number /= zero
    #expect(number == .max)
    number %= zero
    #expect(number == 0)
  }

  @Test func `a range whose bounds are the wrong way round has no or one element`() {
    let (low, high): (Int64, Int64) = (3, 5)
    #expect((high..<low).isEmpty && Array(low..<high) == [3, 4])
    let (first, last) = (3, 5)
    #expect((last..<first).isEmpty && Array(first..<last) == [3, 4])
    #expect(Array(high...low) == [5] && Array(low...high) == [3, 4, 5])
    #expect(Array(last...first) == [5] && Array(first...last) == [3, 4, 5])
  }

  @Test func `a float becomes the closest integer towards zero`() {
    #expect(Int64(saturating: 1e300) == .max && Int64(saturating: -1e300) == .min)
    #expect(Int64(saturating: .infinity) == .max && Int64(saturating: -.infinity) == .min)
    #expect(Int64(saturating: .nan) == 0 && Int(saturating: .nan) == 0)
    #expect(Int64(saturating: 0x1p63) == .max && Int64(saturating: -0x1p63) == .min)
    #expect(Int64(saturating: 2.9) == 2 && Int64(saturating: -2.9) == -2)
  }

  /// A module without it would silently get the standard library's operators.
  @Test func `every module that handles logs sees these operators in all its files`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Sources")
    let modules = try FileManager.default.contentsOfDirectory(atPath: root.path)
    var checked = 0
    for module in modules where module != "TaskLogPlugin" {
      let folder = root.appendingPathComponent(module)
      let files = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String }
      let texts = try (files ?? []).filter { $0.hasSuffix(".swift") }.map {
        try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)
      }
      guard texts.contains(where: { $0.contains("\nimport LogFormat\n") }) || module == "LogFormat"
      else { continue }
      checked += 1
      #expect(texts.contains { $0.contains("@_exported import TaskLogPlugin\n") }, "\(module)")
      // The compiler takes those of the standard library for an assignment to `$0`.
      let assignment = /\{ *\$0 ([-+*\/%]=|= .*\$0 *[-+*\/%])/
      #expect(!texts.contains { $0.firstMatch(of: assignment) != nil }, "\(module)")
    }
    #expect(checked >= 11)
  }
}
