public import Foundation
import TransferQ
import TransferQRewards

/// Tries a model file in a process of its own before this one touches it.
///
/// llama.cpp checks most of what it reads, but a damaged file can still end the process that loads it. The child
/// loads the file, decodes two tokens, and says what is wrong; if it dies, that is the answer. A file that passed is
/// remembered by path, size and time of change, so it is tried once.
public struct ModelProbe: Sendable {
    /// A program that takes `--purpose PURPOSE model [adapter]` behind `arguments`, exits with 0 when they load, and
    /// otherwise prints one sentence to its standard error.
    let executable: URL
    let arguments: [String]
    let stamps: URL

    public init(executable: URL, arguments: [String], store: ModelStore) {
        self.executable = executable
        self.arguments = arguments
        stamps = store.root.appending(path: "verified", directoryHint: .isDirectory)
    }

    /// - Throws: ``LlamaError`` or ``ProbeFailure`` when the files cannot be used; `CancellationError`.
    public func check(
        model: String, adapter: String? = nil, purpose: LlamaModel.Purpose = .generation
    ) async throws {
        if let adapter {
            // What goes wrong with both then comes from the adapter.
            try await check(model: model, purpose: purpose)
            try LlamaAdapter.check(adapter, for: model)
        } else {
            guard try GGUFHeader(model).kind != .adapter else { throw LlamaError.isAdapter(path: model) }
        }
        let files = [model] + (adapter.map { [$0] } ?? [])
        let stamp = stamps.appending(path: try GGUFFile.identity(files, purpose.rawValue))
        if FileManager.default.fileExists(atPath: stamp.path) { return }

        let outcome = try await ChildProgram(
            executable: executable, arguments: arguments + ["--purpose", purpose.rawValue] + files
        ).run()
        if outcome.status == 0, !outcome.wasSignalled {
            // Without the stamp the file is only tried again next time.
            try? FileManager.default.createDirectory(at: stamps, withIntermediateDirectories: true)
            _ = FileManager.default.createFile(atPath: stamp.path, contents: nil)
            return
        }
        guard !outcome.wasSignalled, let sentence = outcome.complaints.split(separator: "\n").last else {
            let reason = "llama.cpp ended on it with signal \(outcome.status)"
            guard let adapter else { throw LlamaError.damaged(path: model, reason: reason) }
            throw LlamaError.adapterRejected(path: adapter, model: model, reason: reason)
        }
        throw ProbeFailure(sentence: String(sentence))
    }
}

/// What the child of a ``ModelProbe`` said.
public struct ProbeFailure: Error, CustomStringConvertible {
    let sentence: String
    public var description: String { sentence }
}

extension LlamaModel {
    /// What a probe's child does: loads the model, and the adapter, and decodes two tokens.
    ///
    /// - Throws: ``LlamaError`` when that fails.
    public static func verify(path: String, adapter: String?, purpose: Purpose = .generation) async throws {
        guard purpose != .embedding else {
            _ = try await TextEncoder(path: path).embeddings(of: ["a b"])
            return
        }
        let model = try await LlamaModel(path: path, purpose: purpose)
        guard purpose == .generation else {
            _ = try await LlamaClassifier(model: model).scores(of: [Completion(conversation: [], text: "a b")])
            return
        }
        var loaded: LlamaAdapter?
        if let adapter { loaded = try await LlamaAdapter(path: adapter, model: model) }
        let context = try await LlamaContext(
            model: model, adapter: loaded, configuration: .init(cells: 256, sequences: 1))
        let policy = try await LlamaPolicy(context: context, prompt: [0])
        do {
            _ = try await policy.propose(after: [0], count: 1)
        } catch LlamaError.decodeFailed(_, let reason) {
            throw LlamaError.damaged(path: path, reason: "two tokens could not be decoded, \(reason)")
        }
    }
}
