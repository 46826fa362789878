import CSupport

/// The file systems whose memory maps and locks are reliable: those on this machine's own disks and
/// in its memory. Any other may be reached through a network, or its maps and locks have unknown
/// semantics (`wekafs`, `panfs`, `virtiofs`, file systems in user space); it is treated as a
/// network file system.
package enum LocalFileSystem {
  /// By their names in `/proc/self/mountinfo`, with the numbers of `statfs(2)` and `linux/magic.h`,
  /// which identify them if a file's device is not in the table of mounts: a subvolume of btrfs has
  /// its own device.
  static let known: [(name: String, magic: UInt32)] = [
    ("ext2", 0xEF53), ("ext3", 0xEF53), ("ext4", 0xEF53), ("xfs", 0x5846_5342),
    ("btrfs", 0x9123_683E), ("zfs", 0x2FC1_2FC1), ("bcachefs", 0xCA45_1A4E),
    ("f2fs", 0xF2F5_2010), ("jfs", 0x3153_464A), ("reiserfs", 0x5265_4973),
    ("nilfs2", 0x3434), ("tmpfs", 0x0102_1994), ("ramfs", 0x8584_58F6),
    ("overlay", 0x794C_7630), ("overlayfs", 0x794C_7630), ("aufs", 0x6175_6673),
    ("rootfs", 0x0102_1994), ("vfat", 0x4D44), ("msdos", 0x4D44), ("exfat", 0x2011_BAB0),
    ("ntfs3", 0x7366_746E), ("ntfs", 0x5346_544E), ("hfsplus", 0x482B), ("minix", 0x4D5A),
    ("udf", 0x1501_3346), ("ubifs", 0x2405_1905), ("jffs2", 0x72B6), ("ecryptfs", 0xF15F),
    ("squashfs", 0x7371_7368), ("erofs", 0xE0F5_E1E2), ("iso9660", 0x9660),
  ]

  /// File systems in user space that are local: on a block device, or under rootless containers.
  private static let userSpace: Set<String> = [
    "fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.ext2",
    "fuse.ext4", "fuse.squashfuse",
  ]

  static func contains(_ type: String) -> Bool {
    userSpace.contains(type) || known.contains { $0.name == type }
  }

  /// The kernel's identification of the file system of a folder: the name of a local one, the
  /// number of any other; `nil` if the call fails.
  static func name(ofFolder folder: String) -> String? {
    let magic = tl_file_system(folder)
    return magic == 0 ? nil : name(ofMagic: magic)
  }

  static func name(ofMagic magic: UInt32) -> String {
    known.first { $0.magic == magic }?.name ?? "type 0x" + String(magic, radix: 16)
  }
}
