// Makes the arithmetic on numbers from a file visible in every file: `SaturatingArithmetic`.
@_exported import TaskLogPlugin
