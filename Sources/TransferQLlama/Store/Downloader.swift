public import Foundation
import TransferQ
import TransferQDigest

/// Brings files over HTTPS: resumed after a cut, complete or not there at all, one program at a time.
///
/// The transfer itself is the work of the `curl` program, which knows proxies, certificates and redirects as the user
/// has set them up.
public struct Downloader: Sendable {
    /// Bytes on this machine so far.
    public typealias Progress = @Sendable (_ received: Int) -> Void

    /// What a file is, and so what can be told of it when it has come.
    public enum Content: Sendable {
        case model
        case data
    }

    let attempts: Int
    let content: Content

    /// - Parameter attempts: how often a cut connection is taken up again before giving up.
    public init(attempts: Int = 3, content: Content = .model) {
        self.attempts = attempts
        self.content = content
    }

    /// The address of `hf:OWNER/REPO/FILE.gguf`, of data `hf:datasets/OWNER/REPO/FILE`, or of an https URL. Plain http is
    /// accepted from this machine only.
    ///
    /// The hub is `HF_ENDPOINT` when that is set.
    ///
    /// - Throws: ``StoreError/badAddress(_:)`` or ``StoreError/badDataAddress(_:)``.
    public static func address(_ text: String, of content: Content = .model) throws -> URL {
        var address = text
        let refusal = content == .model ? StoreError.badAddress(text) : StoreError.badDataAddress(text)
        if text.hasPrefix("hf:") {
            var parts = text.dropFirst(3).split(separator: "/").map(String.init)
            let kind = content == .data && parts.first == "datasets" ? [parts.removeFirst()] : []
            guard parts.count >= 3, content == .data ? !kind.isEmpty : parts[parts.count - 1].hasSuffix(".gguf") else {
                throw refusal
            }
            let hub = ProcessInfo.processInfo.environment["HF_ENDPOINT"] ?? "https://huggingface.co"
            address = ([hub] + kind + parts.prefix(2) + ["resolve/main"] + parts.dropFirst(2)).joined(separator: "/")
        }
        guard let url = URL(string: address), let host = url.host(), !url.lastPathComponent.isEmpty,
            url.scheme == "https" || (url.scheme == "http" && ["localhost", "127.0.0.1", "::1"].contains(host))
        else { throw refusal }
        return url
    }

    /// Downloads `address` to `target`.
    ///
    /// What has arrived is kept beside `target`, with what the server said of it, so that a later call goes on where this
    /// one was cut: if the server's file is still the same by its ETag or its date, or if `sha256` will tell. Otherwise the
    /// file is fetched anew. It appears when it is complete, its checksum is right and, of a model, its tensors lie within it. Of several
    /// programs that want the same file one brings it, and the others wait.
    ///
    /// - Parameter waiting: called once when another program is bringing this file.
    /// - Throws: ``StoreError``, ``LlamaError/notGGUF(path:)``, ``LlamaError/damaged(path:reason:)``, or
    ///   `CancellationError`.
    public func download(
        _ address: URL, to target: URL, sha256: String?, waiting: () -> Void = {}, progress: Progress
    ) async throws {
        guard !FileManager.default.fileExists(atPath: target.path) else { throw StoreError.exists(path: target.path) }
        do {
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        } catch {
            throw StoreError.cannotWrite(path: target.path, reason: error.localizedDescription)
        }
        let lock = try await FileLock.acquire(for: target, purpose: address.absoluteString, wait: waiting)
        defer { lock.release() }
        if FileManager.default.fileExists(atPath: target.path) {
            guard lock.predecessor == address.absoluteString else { throw StoreError.exists(path: target.path) }
            return try await check(target.path, of: address, sha256: sha256)
        }
        // The address is part of the name: what came from elsewhere is no beginning of this file.
        let mark = SHA256.hash(data: Data(address.absoluteString.utf8)).prefix(6).hexadecimal
        let transfer = Transfer(
            address: address, partial: target.appendingPathExtension(mark + ".partial"), lock: lock,
            isChecked: sha256 != nil)
        let wasResumed = try await bring(transfer, progress: progress)
        do { try await check(transfer.partial.path, of: address, sha256: sha256) } catch {
            transfer.discard()
            guard wasResumed else { throw error }
            // The beginning may have been of another file.
            _ = try await bring(transfer, progress: progress)
            do { try await check(transfer.partial.path, of: address, sha256: sha256) } catch {
                transfer.discard()
                throw error
            }
        }
        try Self.publish(transfer.partial.path, as: target.path)
        transfer.discard()
    }

    /// Takes a cut transfer up again as often as is allowed.
    ///
    /// - Returns: whether the file came in several pieces.
    private func bring(_ transfer: Transfer, progress: Progress) async throws -> Bool {
        var (attempt, restarts, wasResumed) = (1, 0, false)
        while true {
            wasResumed = try transfer.settle() > 0
            do {
                try await transfer.run(progress: progress)
                return wasResumed
            } catch StoreError.changed where restarts < 2 {
                restarts += 1
            } catch StoreError.interrupted where attempt < attempts {
                try await Task.sleep(for: .milliseconds(200 * attempt))
                attempt += 1
            }
        }
    }

    /// What can be told of a file that is complete as far as the server is concerned.
    private func check(_ path: String, of address: URL, sha256: String?) async throws {
        if content == .model {
            do { try GGUFHeader(path).checkExtents() } catch LlamaError.notGGUF {
                throw LlamaError.notGGUF(path: address.absoluteString)
            } catch LlamaError.damaged(_, let reason) {
                throw LlamaError.damaged(path: address.absoluteString, reason: reason)
            }
        }
        guard let sha256 else { return }
        let got = try await GGUFFile.sha256(of: path)
        guard got == sha256.lowercased() else {
            throw StoreError.wrongChecksum(what: address.absoluteString, expected: sha256, got: got)
        }
    }

    /// Gives a finished file its name; what has that name already stays.
    ///
    /// - Throws: ``StoreError/exists(path:)`` or ``StoreError/cannotWrite(path:reason:)``.
    static func publish(_ partial: String, as target: String) throws {
        if link(partial, target) == 0 {
            unlink(partial)
            return
        }
        // File systems without hard links.
        if errno != EEXIST, !FileManager.default.fileExists(atPath: target), rename(partial, target) == 0 { return }
        if FileManager.default.fileExists(atPath: target) { throw StoreError.exists(path: target) }
        throw StoreError.cannotWrite(path: target, reason: String(cString: strerror(errno)))
    }
}
