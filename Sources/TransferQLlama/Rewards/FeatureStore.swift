import Foundation
public import TransferQ
import TransferQDigest
public import TransferQRewards

/// States of many answers, kept in a file of the cache, so that a second fit takes seconds and a killed one goes on
/// where it was.
///
/// The file holds, for each answer in order, its last state and its mean state as 32-bit floats; the name is a hash of
/// all that they depend on.
public struct FeatureStore: Sendable {
    let folder: URL

    public init(store: ModelStore) {
        folder = store.root.appending(path: "features", directoryHint: .isDirectory)
    }

    /// The states of `completions`, in order.
    ///
    /// Neighbours that answer the same conversation are read together.
    ///
    /// - Parameter progress: called with the number of answers known so far, after each group.
    /// - Throws: ``StoreError/cannotWrite(path:reason:)``, ``LlamaError``, `CancellationError`; what was read stays.
    public func states(
        of completions: [Completion], backbone: LinearHead.Backbone, reader: TextReader,
        progress: @Sendable (Int) -> Void
    ) async throws -> [PooledState] {
        let layout = try await reader.layoutFingerprint() ?? reader.template.rawValue
        let file = folder.appending(path: Self.key(completions, backbone, layout: layout) + ".f32")
        let (size, record) = (backbone.width, 8 * backbone.width)
        let handle = try open(file)
        var known = 0
        do {
            // Another fit of the same data waits until this one has read it, and finds it all.
            guard flock(handle.fileDescriptor, LOCK_EX) == 0 else {
                throw StoreError.cannotWrite(path: file.path, reason: String(cString: strerror(errno)))
            }
            let length = Int(try handle.seekToEnd())
            known = length > record * completions.count ? 0 : length / record
            // A killed run may have left a part of a record.
            try handle.truncate(atOffset: UInt64(known * record))
            while known < completions.count {
                try Task.checkCancellation()
                let conversation = completions[known].conversation
                let group = completions[known...].prefix(64).prefix { $0.conversation == conversation }
                // What was read before moves the last bits, and a run that was cut must come to those of a whole one.
                await reader.forget()
                let states = try await reader.states(of: group.map(\.text), after: conversation)
                let block = states.reduce(into: Data()) { block, state in
                    (state.last + state.mean).withUnsafeBytes { block.append(contentsOf: $0) }
                }
                try handle.seekToEnd()
                try handle.write(contentsOf: block)
                known += group.count
                progress(known)
            }
            try handle.close()
        } catch let error as CocoaError {
            throw StoreError.cannotWrite(path: file.path, reason: error.localizedDescription)
        }
        guard let data = FileManager.default.contents(atPath: file.path), data.count == record * completions.count
        else {
            throw StoreError.cannotWrite(path: file.path, reason: "it was cut; remove it and run this again")
        }
        let source = StateSource(weights: backbone.sha256, prompt: [])
        return data.withUnsafeBytes { bytes in
            completions.indices.map { index in
                let values = bytes[(index * record)..<((index + 1) * record)].bindMemory(to: Float.self)
                return PooledState(
                    source: source, last: Array(values.prefix(size)), mean: Array(values.dropFirst(size)))
            }
        }
    }

    private func open(_ file: URL) throws -> FileHandle {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            if !FileManager.default.fileExists(atPath: file.path) { try Data().write(to: file) }
            return try FileHandle(forUpdating: file)
        } catch { throw StoreError.cannotWrite(path: file.path, reason: error.localizedDescription) }
    }

    private static func key(
        _ completions: [Completion], _ backbone: LinearHead.Backbone, layout: String
    ) -> String {
        var parts = [backbone.sha256, backbone.type ?? "", layout, LlamaLibrary.version, "1"]
        for completion in completions {
            parts.append("\(completion.conversation.count)")
            for turn in completion.conversation { parts += [turn.role, turn.content] }
            parts.append(completion.text)
        }
        var hash = SHA256()
        for part in parts {
            hash.update(data: Data("\(part.utf8.count):".utf8))
            hash.update(data: Data(part.utf8))
        }
        return hash.finalize().prefix(16).hexadecimal
    }
}
