public import Foundation
import TransferQ
import TransferQDigest

/// The per-user folder that holds models and what is known of them.
public struct ModelStore: Sendable {
    public let root: URL

    public init(root: URL) {
        self.root = root
    }

    /// `TRANSFERQ_CACHE`, or `transferq` in the user's cache folder.
    public static var standard: ModelStore {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["TRANSFERQ_CACHE"], !path.isEmpty {
            return ModelStore(root: URL(filePath: path, directoryHint: .isDirectory))
        }
        #if os(macOS)
            let caches = URL.cachesDirectory
        #else
            let home = FileManager.default.homeDirectoryForCurrentUser
            let caches =
                environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : URL(filePath: $0) }
                ?? home.appending(path: ".cache")
        #endif
        return ModelStore(root: caches.appending(path: "transferq", directoryHint: .isDirectory))
    }

    /// Data that came from elsewhere.
    var data: URL { root.appending(path: "data", directoryHint: .isDirectory) }

    /// The file of data on this machine: a path as it is; what an address names, brought on first use.
    ///
    /// - Parameter notice: told in a sentence what is brought.
    /// - Throws: ``StoreError``, or `CancellationError`.
    public func data(_ source: String, notice: (String) -> Void) async throws -> String {
        guard ["https://", "http://", "hf:"].contains(where: source.hasPrefix) else { return source }
        let address = try Downloader.address(source, of: .data)
        let mark = SHA256.hash(data: Data(address.absoluteString.utf8)).prefix(6).hexadecimal
        let target = data.appending(path: "\(mark)-\(address.lastPathComponent)")
        if !FileManager.default.fileExists(atPath: target.path) {
            notice("bringing \(address.absoluteString)")
            do {
                try await Downloader(content: .data).download(address, to: target, sha256: nil, progress: { _ in })
            } catch StoreError.exists {
                // Another program brought it meanwhile.
            }
        }
        return target.path
    }

    public var models: URL { root.appending(path: "models", directoryHint: .isDirectory) }

    /// Where the file of a model belongs.
    public func file(_ name: String) -> URL { models.appending(path: name) }

    /// The GGUF files in the store, by name.
    ///
    /// - Throws: a file-system error when the folder is there but cannot be read.
    public func files() throws -> [URL] {
        guard FileManager.default.fileExists(atPath: models.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: models, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "gguf" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    /// Copies a file, or what a link leads to, into the store; it appears complete or not at all.
    ///
    /// - Throws: ``StoreError/exists(path:)`` or ``StoreError/cannotWrite(path:reason:)``.
    public func copy(_ source: String, to target: URL) throws {
        // A relative link would lead nowhere from another folder.
        let content = URL(filePath: source).resolvingSymlinksInPath()
        let partial = models.appending(path: "partial.\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true)
            try FileManager.default.copyItem(at: content, to: partial)
        } catch {
            throw StoreError.cannotWrite(path: target.path, reason: error.localizedDescription)
        }
        defer { unlink(partial.path) }
        try Downloader.publish(partial.path, as: target.path)
    }

    /// Makes a file of the store while no other program does.
    ///
    /// - Parameter waiting: called once when another program is at it.
    /// - Throws: ``StoreError/cannotWrite(path:reason:)``, or what `work` throws.
    public func alone<Result>(
        making file: String, waiting: () -> Void, work: () async throws -> Result
    ) async throws -> Result {
        do { try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true) } catch {
            throw StoreError.cannotWrite(path: models.path, reason: error.localizedDescription)
        }
        let lock = try await FileLock.acquire(for: self.file(file), purpose: file, wait: waiting)
        defer { lock.release() }
        return try await work()
    }

    /// The file that `name` stands for: a path, a file of the store, or a known model whose file is in the store.
    ///
    /// - Throws: ``StoreError`` or ``LlamaError/noSuchFile(path:)`` when there is none.
    public func resolve(_ name: String) throws -> URL {
        if let known = KnownModel.named(name) {
            let candidates = [known.preferredFile, known.file].map(file)
            guard let present = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
                throw StoreError.notPulled(name: known.name)
            }
            return present
        }
        if FileManager.default.fileExists(atPath: name) { return URL(filePath: name) }
        let stored = file(name)
        if !name.contains("/"), !name.isEmpty, FileManager.default.fileExists(atPath: stored.path) { return stored }
        if name.contains("/") || name.hasSuffix(".gguf") { throw LlamaError.noSuchFile(path: name) }
        throw StoreError.unknownModel(name: name, known: KnownModel.all.map(\.name))
    }
}

/// What can go wrong with the store. Every message says what, where and how to mend it.
public enum StoreError: Error, Equatable, Sendable {
    case unknownModel(name: String, known: [String])
    case notPulled(name: String)
    case unknownFormat(name: String, known: [String])
    case badAddress(String)
    /// As ``badAddress(_:)``, of data.
    case badDataAddress(String)
    case refusedByServer(address: String, status: Int)
    case interrupted(address: String, received: Int, reason: String)
    case wrongChecksum(what: String, expected: String, got: String)
    case cannotWrite(path: String, reason: String)
    case packageUnavailable(package: String, reason: String)
    case exists(path: String)
    /// What came is no continuation of what was there, and was thrown away.
    case changed(address: String)
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownModel(let name, let known):
            "there is no model '\(name)'; give a GGUF file, or one of \(known.joined(separator: ", "))"
        case .notPulled(let name):
            "the model \(name) is not on this machine; get it with: transferq models pull \(name)"
        case .unknownFormat(let name, let known):
            "there is no weight format '\(name)'; choose one of \(known.joined(separator: ", "))"
        case .badAddress(let address):
            "'\(address)' is no place to get a model from; give a known name, a GGUF file, an https address "
                + "or hf:OWNER/REPO/FILE.gguf"
        case .badDataAddress(let address):
            "'\(address)' is no place to get data from; give a file, an https address or hf:datasets/OWNER/REPO/FILE"
        case .refusedByServer(let address, let status):
            "the server answered \(status) for \(address); "
                + (status == 401 || status == 403
                    ? "set HF_TOKEN if the model needs a login" : "check the address")
        case .interrupted(let address, let received, let reason):
            received == 0
                ? "nothing came from \(address) (\(reason)); check the address and the network"
                : "the download of \(address) was cut after \(received) bytes (\(reason)); "
                    + "run the same command again to resume"
        case .wrongChecksum(let what, let expected, let got):
            "\(what) has SHA-256 \(got), not \(expected); it was thrown away: get it again, or correct the checksum"
        case .cannotWrite(let path, let reason):
            "\(path) cannot be written (\(reason)); free some space or choose another place"
        case .packageUnavailable(let package, let reason):
            "the package \(package) could not be fetched (\(reason)); check the network and python3's pip"
        case .changed(let address):
            "the file at \(address) changed while it was fetched; run the same command again to fetch it anew"
        case .exists(let path):
            "\(path) exists already; remove it first, or choose another name"
        }
    }
}
