import Foundation

/// Files with a content that stays, which can be read twice and from any place.
public enum RegularFile {
    /// Whether `path`, or the link there, leads to one: no folder, pipe, socket or device, and reading it will not wait for
    /// anybody.
    public static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
