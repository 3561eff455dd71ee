import CLlama
import Foundation
public import TransferQ

/// A GGUF model that scores whole texts itself: a classifier or reranker, by llama.cpp's rank pooling.
///
/// Most such models look at a text in both directions, so nothing of an earlier text can be kept: every text is read
/// whole, many in a batch.
public actor LlamaClassifier {
    public nonisolated let model: LlamaModel
    /// Numbers that the model gives for a text, with their names where the file has them.
    public nonisolated let labels: [String]
    private let handle: ContextHandle
    private let batchSize: Int
    /// Of a call, where its lane does not say.
    private let threads: Int
    private let turn = Turn()
    private static let sequences = 64

    /// - Throws: ``LlamaError/notClassifier(path:)``, ``LlamaError/noClassificationHead(path:)`` when the file pools as a
    ///   classifier but llama.cpp would hand out hidden states for scores, or
    ///   ``LlamaError/contextRefused(cells:reason:)``.
    public init(model: LlamaModel, threads: Int? = nil) async throws {
        guard model.isClassifier else { throw LlamaError.notClassifier(path: model.path) }
        guard try model.files.contains(where: { try GGUFHeader($0).hasClassificationHead }) else {
            throw LlamaError.noClassificationHead(path: model.path)
        }
        let count = Int(llama_model_n_cls_out(model.handle.pointer))
        labels = (0..<count).map { index in
            llama_model_cls_label(model.handle.pointer, UInt32(index)).map { String(cString: $0) } ?? "\(index)"
        }
        let ownThreads = InferenceLane.threads(wanted: threads)
        let batchSize = min(2048, max(64, model.contextLength))
        let configuration = LlamaContext.Configuration(
            cells: batchSize, sequences: Self.sequences, threads: threads, attention: .precise)
        handle = try await InferenceLane.current.thread.run {
            try ContextHandle(
                model: model, configuration: configuration, batchSize: batchSize, threads: ownThreads
            ) { parameters in
                parameters.embeddings = true
                parameters.pooling_type = LLAMA_POOLING_TYPE_RANK
            }
        }
        self.model = model
        self.batchSize = batchSize
        self.threads = ownThreads
    }

    /// `labels.count` numbers for each completion, in order.
    ///
    /// - Throws: ``LlamaError/promptTooLong(tokens:limit:)``, ``LlamaError/decodeFailed(code:reason:)``,
    ///   `CancellationError`.
    public func scores(of completions: [Completion]) async throws -> [[Float]] {
        try await turn.take()
        defer { turn.pass() }
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            try await scores(of: completions, signal: signal)
        } onCancel: {
            signal.raise()
        }
    }

    private func scores(of completions: [Completion], signal: AbortSignal) async throws -> [[Float]] {
        let texts = try completions.map { completion in
            let tokens = try PromptEncoder(model: model).encode(completion)
            return tokens.isEmpty ? [model.endToken ?? 0] : tokens
        }
        if let long = texts.first(where: { $0.count > batchSize }) {
            throw LlamaError.promptTooLong(tokens: long.count, limit: batchSize)
        }
        var scores: [[Float]] = []
        while scores.count < texts.count {
            var tokens = 0
            let wave = texts[scores.count...].prefix(Self.sequences).prefix { text in
                tokens += text.count
                return tokens <= batchSize
            }
            scores += try await handle.pool(Array(wave), threads: threads, signal: signal, count: labels.count).map {
                guard let numbers = $0 else { throw LlamaError.notClassifier(path: model.path) }
                return numbers
            }
        }
        return scores
    }
}

/// `gguf:FILE` of a classifier: one of the numbers that it gives.
public struct ClassifierReward: RewardModel {
    public let name: String
    private let classifier: LlamaClassifier
    private let place: Int

    /// - Parameter label: which number to take, by name or place; may be nil when there is only one.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` when it cannot be told.
    public init(name: String, classifier: LlamaClassifier, label: String?) throws {
        let labels = classifier.labels
        let choice = label ?? (labels.count == 1 ? labels[0] : nil)
        guard let choice,
            let place = labels.firstIndex(of: choice) ?? Int(choice).flatMap({ labels.indices.contains($0) ? $0 : nil })
        else {
            throw TransferQError.rewardSpecification(
                specification: name,
                reason: "the model tells \(labels.joined(separator: ", ")) apart; say which one is good with #LABEL "
                    + "behind the file")
        }
        self.name = name
        self.classifier = classifier
        self.place = place
    }

    public var files: [String] { classifier.model.files }

    public var range: ClosedRange<Double>? { nil }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await classifier.scores(of: completions).map { Double($0[place]) }
    }
}
