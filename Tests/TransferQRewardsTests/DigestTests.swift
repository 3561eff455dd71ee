import Foundation
import Testing
import TransferQ
import TransferQDigest

@Suite struct DigestTests {
    /// The examples of FIPS 180-4, and one longer than a block that comes in pieces.
    @Test func knownDigests() {
        #expect(
            SHA256.hash(data: Data()).hexadecimal
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            SHA256.hash(data: Data("abc".utf8)).hexadecimal
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var pieces = SHA256()
        for _ in 0..<1000 { pieces.update(data: Data(repeating: UInt8(ascii: "a"), count: 1000)) }
        #expect(
            pieces.finalize().hexadecimal == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }
}
