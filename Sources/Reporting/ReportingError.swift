import Glibc

/// What can be wrong with a file that is to be written. Every wording names the file and the way out.
public enum ReportingError: Error, Sendable {
  case isFolder(path: String)
  case cannotWrite(path: String, errno: Int32)
}

extension ReportingError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .isFolder(let path): "\(path): is a folder; name a file in it"
    case .cannotWrite(let path, ENOENT):
      "\(path): cannot be written: its folder does not exist; create it or name another file"
    case .cannotWrite(let path, let errno):
      "\(path): cannot be written: \(String(cString: strerror(errno))); name another file"
    }
  }
}
