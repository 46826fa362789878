import Glibc

/// An error when writing a file. Every message names the file and says what to do.
package enum ReportingError: Error, Sendable {
  case isFolder(path: String)
  case cannotWrite(path: String, errno: Int32)
}

extension ReportingError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .isFolder(let path): "\(path): is a folder; name a file in it"
    case .cannotWrite(let path, ENOENT):
      "\(path): cannot be written: its folder does not exist; create it or name another file"
    case .cannotWrite(let path, let errno):
      "\(path): cannot be written: \(String(cString: strerror(errno))); name another file"
    }
  }
}
