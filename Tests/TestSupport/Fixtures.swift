public import Foundation
import TransferQ
public import TransferQLlama

/// A folder that goes away with its owner.
public final class TemporaryFolder: Sendable {
    public let url: URL

    public init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "transferq-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    public func file(_ name: String) -> URL { url.appending(path: name) }
}

/// The demonstration model, loaded once for all tests.
public enum RealModel {
    /// Set-up brought it; a test that cannot find it fails.
    public static func path() throws -> String {
        try ModelStore.standard.resolve(KnownModel.demonstration.name).path
    }

    private static let loaded = Task { try await LlamaModel(path: path()) }

    public static func load() async throws -> LlamaModel { try await loaded.value }

    /// The demonstration model in 32 bits, made on first use.
    public static func precise() async throws -> LlamaModel {
        try await LlamaModel(path: ModelStore.standard.requantized(KnownModel.demonstration, as: .f32).path)
    }

    /// Fifty prompts of many kinds.
    public static let prompts: [String] = {
        let subjects = [
            "tea", "the moon", "bicycles", "a shy cat", "winter", "bridges", "bread", "old maps", "the violin", "rain",
        ]
        let forms = [
            "Explain %@ to a child.", "Write two sentences about %@.", "What do people get wrong about %@?",
            "Give me three tips concerning %@.", "Tell a very short story with %@ in it.",
        ]
        return subjects.flatMap { subject in forms.map { $0.replacingOccurrences(of: "%@", with: subject) } }
    }()

    /// A policy of its own context for a user's prompt.
    public static func policy(
        _ text: String, system: String? = nil, sequences: Int = 64, cells: Int = 2048
    ) async throws -> (policy: LlamaPolicy, context: LlamaContext) {
        let model = try await load()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: cells, sequences: sequences))
        let messages =
            (system.map { [Message(role: "system", content: $0)] } ?? []) + [
                Message(role: "user", content: text)
            ]
        return (try await LlamaPolicy(context: context, prompt: model.prompt(for: messages)), context)
    }
}
