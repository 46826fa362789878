import Querying
// Makes the arithmetic on numbers from a file visible in every file: `SaturatingArithmetic`.
@_exported import TaskLogPlugin

/// A report for people, not a plugin's.
typealias Report = Querying.Report
