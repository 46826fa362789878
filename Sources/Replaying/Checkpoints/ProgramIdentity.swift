import Glibc

/// Tells this program from other versions of it: what it keeps in a cache is for itself only.
package enum ProgramIdentity {
  package static var text: String {
    var status = stat()
    stat("/proc/self/exe", &status)
    return "\(status.st_dev) \(status.st_ino) \(status.st_size) "
      + "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }
}
