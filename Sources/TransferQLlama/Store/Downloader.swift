public import Foundation
import TransferQ
import TransferQDigest

/// Brings files over HTTPS: resumed after a cut, complete or not there at all.
///
/// The transfer itself is the work of the `curl` program, which knows proxies, certificates and redirects as the user
/// has set them up.
public struct Downloader: Sendable {
    /// Bytes on this machine so far.
    public typealias Progress = @Sendable (_ received: Int) -> Void

    let attempts: Int

    /// - Parameter attempts: how often a cut connection is taken up again before giving up.
    public init(attempts: Int = 3) {
        self.attempts = attempts
    }

    /// The address of `hf:OWNER/REPO/FILE.gguf`, or of an https URL. Plain http is accepted from this machine only.
    ///
    /// The hub is `HF_ENDPOINT` when that is set.
    ///
    /// - Throws: ``StoreError/badAddress(_:)``.
    public static func address(_ text: String) throws -> URL {
        var address = text
        if text.hasPrefix("hf:") {
            let parts = text.dropFirst(3).split(separator: "/").map(String.init)
            guard parts.count >= 3, parts[parts.count - 1].hasSuffix(".gguf") else { throw StoreError.badAddress(text) }
            let hub = ProcessInfo.processInfo.environment["HF_ENDPOINT"] ?? "https://huggingface.co"
            address = "\(hub)/\(parts[0])/\(parts[1])/resolve/main/\(parts[2...].joined(separator: "/"))"
        }
        guard let url = URL(string: address), let host = url.host(), !url.lastPathComponent.isEmpty,
            url.scheme == "https" || (url.scheme == "http" && ["localhost", "127.0.0.1", "::1"].contains(host))
        else { throw StoreError.badAddress(text) }
        return url
    }

    /// Downloads `address` to `target`.
    ///
    /// What has arrived is kept beside `target` until the file is complete and its checksum right, so a later
    /// call goes on where this one was cut.
    ///
    /// - Throws: ``StoreError``, ``LlamaError/notGGUF(path:)``, or `CancellationError`.
    public func download(_ address: URL, to target: URL, sha256: String?, progress: Progress) async throws {
        guard !FileManager.default.fileExists(atPath: target.path) else { throw StoreError.exists(path: target.path) }
        do {
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        } catch {
            throw StoreError.cannotWrite(path: target.path, reason: error.localizedDescription)
        }
        // The address is part of the name: what came from elsewhere is no beginning of this file.
        let mark = SHA256.hash(data: Data(address.absoluteString.utf8)).prefix(6).hexadecimal
        let transfer = Transfer(
            address: address, partial: target.appendingPathExtension(mark + ".partial"))
        for attempt in 1... {
            do {
                try await transfer.run(progress: progress)
                break
            } catch StoreError.interrupted where attempt < attempts {
                try await Task.sleep(for: .milliseconds(200 * attempt))
            }
        }
        do { try GGUFFile.check(transfer.partial.path) } catch {
            transfer.discard()
            throw LlamaError.notGGUF(path: address.absoluteString)
        }
        if let sha256 {
            let got = try GGUFFile.sha256(transfer.partial.path)
            guard got == sha256.lowercased() else {
                transfer.discard()
                throw StoreError.wrongChecksum(what: address.absoluteString, expected: sha256, got: got)
            }
        }
        guard rename(transfer.partial.path, target.path) == 0 else {
            throw StoreError.cannotWrite(path: target.path, reason: String(cString: strerror(errno)))
        }
    }
}

/// One run of curl, which adds to what the partial file holds.
private struct Transfer: Sendable {
    let address: URL
    let partial: URL

    var received: Int {
        // No file yet is nothing received.
        let attributes = try? FileManager.default.attributesOfItem(atPath: partial.path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }

    func discard() {
        // A file that is not there needs no removal, and one that cannot be removed fails the next attempt.
        try? FileManager.default.removeItem(at: partial)
    }

    func run(progress: Downloader.Progress) async throws {
        let curl = ChildProgram(
            arguments: [
                "curl", "--silent", "--show-error", "--fail", "--location", "--proto-redir", "=https",
                "--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60", "--continue-at", "-",
                "--output", partial.path, "--config", "-", address.absoluteString,
            ],
            // The token goes through a pipe, where no list of processes shows it.
            input: authorization)
        let outcome = try await curl.run { progress(received) }
        try check(status: outcome.status, said: outcome.complaints)
    }

    private var authorization: String {
        guard let token = ProcessInfo.processInfo.environment["HF_TOKEN"], !token.isEmpty, !token.contains("\""),
            address.scheme == "https", let host = address.host(),
            host == "huggingface.co" || host.hasSuffix(".huggingface.co")
        else { return "" }
        return "header = \"Authorization: Bearer \(token)\"\n"
    }

    /// Turns curl's exit codes into errors.
    private func check(status: Int32, said: String) throws {
        switch status {
        case 0: return
        case 22:
            let code = said.matches(of: /error: ([0-9]{3})/).last.flatMap { Int($0.1) } ?? 0
            guard code == 416 else {
                throw StoreError.refusedByServer(address: address.absoluteString, status: code)
            }
            fallthrough
        case 33:
            // What is here is not a beginning of what is there, or the server knows no ranges: from the start, then.
            discard()
            throw StoreError.interrupted(
                address: address.absoluteString, received: 0, reason: "the download has to start again")
        case 23: throw StoreError.cannotWrite(path: partial.path, reason: "the disk may be full")
        case 127:
            throw StoreError.interrupted(
                address: address.absoluteString, received: received, reason: "the program curl is missing; install it")
        default:
            let reason = said.replacing(#/^curl: \([0-9]+\) /#, with: "")
            throw StoreError.interrupted(
                address: address.absoluteString, received: received,
                reason: reason.isEmpty ? "curl ended with code \(status)" : reason)
        }
    }
}
