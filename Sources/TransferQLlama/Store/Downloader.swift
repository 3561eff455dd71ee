public import Foundation
import Synchronization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Brings files over HTTPS: resumed after a cut, complete or not there at all.
public struct Downloader: Sendable {
    /// Bytes received and, when the server told, expected.
    public typealias Progress = @Sendable (_ received: Int, _ expected: Int?) -> Void

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
    /// What has arrived is kept in `target.partial` until the file is complete and its checksum right, so a later
    /// call goes on where this one was cut.
    ///
    /// - Throws: ``StoreError``, or `CancellationError`.
    public func download(_ address: URL, to target: URL, sha256: String?, progress: @escaping Progress) async throws {
        guard !FileManager.default.fileExists(atPath: target.path) else { throw StoreError.exists(path: target.path) }
        let partial = target.appendingPathExtension("partial")
        try prepareFolder(of: target)
        for attempt in 1... {
            do {
                try await Transfer(address: address, partial: partial, progress: progress).run()
                break
            } catch StoreError.interrupted where attempt < attempts {
                try await Task.sleep(for: .milliseconds(200 * attempt))
            }
        }
        if let sha256 {
            let got = try GGUFFile.sha256(partial.path)
            guard got == sha256.lowercased() else {
                try? FileManager.default.removeItem(at: partial)  // the error below is the one to report
                throw StoreError.wrongChecksum(what: address.absoluteString, expected: sha256, got: got)
            }
        }
        guard rename(partial.path, target.path) == 0 else {
            throw StoreError.cannotWrite(path: target.path, reason: String(cString: strerror(errno)))
        }
    }

    private func prepareFolder(of target: URL) throws {
        do {
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        } catch {
            throw StoreError.cannotWrite(path: target.path, reason: error.localizedDescription)
        }
    }
}

/// One request, appended to the partial file as it arrives.
private final class Transfer: NSObject, URLSessionDataDelegate, Sendable {
    private struct State {
        var file: FileHandle?
        var received = 0
        var expected: Int?
        var failure: (any Error)?
        var continuation: CheckedContinuation<Void, any Error>?
        var lastReport = ContinuousClock.now
    }

    private let address: URL
    private let partial: URL
    private let progress: Downloader.Progress
    private let state = Mutex(State())

    init(address: URL, partial: URL, progress: @escaping Downloader.Progress) {
        self.address = address
        self.partial = partial
        self.progress = progress
    }

    func run() async throws {
        let present = (try? FileManager.default.attributesOfItem(atPath: partial.path)[.size] as? NSNumber)?.intValue
        var request = URLRequest(url: address, timeoutInterval: 60)
        if let present, present > 0 { request.setValue("bytes=\(present)-", forHTTPHeaderField: "Range") }
        if address.scheme == "https", let token = ProcessInfo.processInfo.environment["HF_TOKEN"], !token.isEmpty,
            address.host()?.hasSuffix("huggingface.co") == true
        {
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        }
        let session = URLSession(configuration: .ephemeral, delegate: self, delegateQueue: nil)
        defer { session.invalidateAndCancel() }
        let task = session.dataTask(with: request)
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.continuation = continuation }
                task.resume()
            }
        } onCancel: {
            task.cancel()
        }
        try Task.checkCancellation()
    }

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        let status = (response as? HTTPURLResponse)?.statusCode ?? 200
        let isAccepted = state.withLock { state in
            do {
                guard status == 200 || status == 206 else {
                    // 416: what is here is not a beginning of what is there.
                    if status == 416 { try FileManager.default.removeItem(at: partial) }
                    throw status == 416
                        ? StoreError.interrupted(
                            address: address.absoluteString, received: 0, expected: nil,
                            reason: "the file there has changed")
                        : StoreError.refusedByServer(address: address.absoluteString, status: status)
                }
                if status == 200 || !FileManager.default.fileExists(atPath: partial.path) {
                    guard FileManager.default.createFile(atPath: partial.path, contents: nil) else {
                        throw StoreError.cannotWrite(path: partial.path, reason: String(cString: strerror(errno)))
                    }
                }
                let file = try FileHandle(forWritingTo: partial)
                state.received = Int(try file.seekToEnd())
                state.file = file
                let length = Int(response.expectedContentLength)
                state.expected = length >= 0 ? state.received + length : nil
                return true
            } catch {
                state.failure = error
                return false
            }
        }
        completionHandler(isAccepted ? .allow : .cancel)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let report: (Int, Int?)? = state.withLock { state in
            do {
                try state.file?.write(contentsOf: data)
                state.received += data.count
            } catch {
                state.failure = StoreError.cannotWrite(path: partial.path, reason: error.localizedDescription)
                dataTask.cancel()
                return nil
            }
            guard ContinuousClock.now - state.lastReport > .milliseconds(100) else { return nil }
            state.lastReport = .now
            return (state.received, state.expected)
        }
        if let (received, expected) = report { progress(received, expected) }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let (continuation, failure) = state.withLock { state -> (CheckedContinuation<Void, any Error>?, (any Error)?) in
            try? state.file?.close()  // everything was written; a failure to close loses nothing
            defer { state.continuation = nil }
            var failure = state.failure
            let isShort = state.expected.map { state.received < $0 } ?? false
            if failure == nil, error != nil || isShort {
                failure = StoreError.interrupted(
                    address: address.absoluteString, received: state.received, expected: state.expected,
                    reason: error?.localizedDescription ?? "the connection closed early")
            }
            return (state.continuation, failure)
        }
        if let failure { continuation?.resume(throwing: failure) } else { continuation?.resume() }
    }
}
