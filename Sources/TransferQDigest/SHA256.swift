#if canImport(CryptoKit)
    package import CryptoKit

    package typealias SHA256 = CryptoKit.SHA256
#else
    import CCrypto
    package import Foundation

    /// SHA-256 (FIPS 180-4) of bytes that come piece by piece; CryptoKit's interface over OpenSSL's libcrypto.
    ///
    /// The system's library, because building one from source (BoringSSL) takes minutes, and hashing model files needs
    /// the processor's own instructions.
    package struct SHA256: ~Copyable {
        private let context: OpaquePointer

        package init() {
            guard let context = EVP_MD_CTX_new() else { preconditionFailure("there is no memory for a digest") }
            self.context = context
            let isReady = EVP_DigestInit_ex(context, EVP_sha256(), nil)
            precondition(isReady == 1, "OpenSSL has no SHA-256")
        }

        deinit { EVP_MD_CTX_free(context) }

        package mutating func update(data: some DataProtocol) {
            for region in data.regions {
                region.withUnsafeBytes { bytes in
                    let isDone = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
                    precondition(isDone == 1, "OpenSSL cannot go on with a digest")
                }
            }
        }

        /// The digest of all that came, 32 bytes.
        package consuming func finalize() -> [UInt8] {
            var digest = [UInt8](repeating: 0, count: 32)
            let isDone = EVP_DigestFinal_ex(context, &digest, nil)
            precondition(isDone == 1, "OpenSSL cannot end a digest")
            return digest
        }

        /// The digest of `data`, 32 bytes.
        package static func hash(data: some DataProtocol) -> [UInt8] {
            var hash = SHA256()
            hash.update(data: data)
            return hash.finalize()
        }
    }
#endif
