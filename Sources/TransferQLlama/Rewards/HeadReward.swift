public import TransferQ
public import TransferQRewards

/// `head:FILE`: a linear head on a model's hidden states.
///
/// A completion that comes with the states of the head's own backbone and prompt costs nothing; of others the reader
/// encodes what it has not read before.
public struct HeadReward: RewardModel {
    public let name: String
    public let head: LinearHead
    /// The head's file, if it has one, and those of its model.
    public let files: [String]
    private let reader: TextReader

    /// - Parameters:
    ///   - reader: on the head's backbone.
    ///   - file: what the head was read from; nil for one that has no file.
    /// - Throws: ``LlamaError/wrongBackbone(head:model:reason:)`` when the widths differ.
    public init(_ head: LinearHead, name: String, reader: TextReader, file: String? = nil) throws {
        guard head.backbone.width == reader.model.width else {
            throw LlamaError.wrongBackbone(
                head: name, model: reader.model.path,
                reason: "its states have \(reader.model.width) numbers and the head needs \(head.backbone.width)")
        }
        self.head = head
        self.name = name
        self.reader = reader
        files = (file.map { [$0] } ?? []) + reader.files
    }

    public var range: ClosedRange<Double>? { head.range }

    public var calibration: RewardCalibration? { head.calibration }

    public var instruction: String? { head.instruction }

    public func stateSource(for conversation: [Message]) async throws -> StateSource? {
        head.pooling == .end ? nil : try await reader.source(for: conversation)
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await completions.byConversation { try await states(of: $0).map(head.reward) }
    }

    /// The states of completions of one conversation.
    private func states(of completions: [Completion]) async throws -> [PooledState] {
        if head.pooling == .end { return try await reader.endStates(of: completions) }
        let source = try await reader.source(for: completions[0].conversation)
        let unread = completions.indices.filter { completions[$0].state?.source != source }
        let read = try await reader.states(
            of: unread.map { completions[$0].text }, after: completions[0].conversation)
        var states = completions.map(\.state)
        for (index, state) in zip(unread, read) { states[index] = state }
        return states.compactMap { $0 }
    }
}
