public import Foundation
public import TransferQ
import TransferQLlama

/// Where rewards, and metrics that need a model, find their model files, which run in this process.
public struct RewardLoader: Sendable {
    public let library: ModelLibrary
    /// Of a call of llama.cpp; nil for one for each processor.
    public let threads: Int?
    private let timeout: Double
    private let heads: URL?

    /// - Parameters:
    ///   - timeout: seconds that a reward's program or server may take for a batch.
    ///   - heads: a folder of head files that are known by their names.
    public init(library: ModelLibrary = ModelLibrary(), threads: Int? = nil, timeout: Double = 60, heads: URL? = nil) {
        self.library = library
        self.threads = threads
        self.timeout = timeout
        self.heads = heads
    }

    /// All kinds of rewards.
    ///
    /// - Parameter likely: model files in use, which a head's backbone is looked for among first.
    public func catalogue(likely: [String] = []) -> RewardCatalogue {
        ModelRewards(models: library.models, threads: threads, timeout: timeout, likely: likely, heads: heads).catalogue
    }
}
