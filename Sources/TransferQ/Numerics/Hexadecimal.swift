import Foundation

extension Sequence<UInt8> {
    /// Two digits a byte, in lower case.
    package var hexadecimal: String { map { String(format: "%02x", $0) }.joined() }
}
