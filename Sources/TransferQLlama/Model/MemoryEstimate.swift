/// What a model takes in memory, worked out from its file's header without loading it.
public struct MemoryEstimate: Encodable, Sendable {
    /// Bytes of the weights.
    public let weights: Int
    /// Bytes of keys and values for one token of one context, with the cache format that is named.
    public let perToken: Int
    public let cacheType: String
    /// Bytes of what a batch of the widest kind computes in.
    public let compute: Int

    /// Bytes of contexts with room for so many tokens together, their weights included.
    ///
    /// - Parameter contexts: how many; each computes in memory of its own.
    public func total(tokens: Int, contexts: Int = 1) -> Int {
        weights + tokens * perToken + contexts * compute
    }

    /// - Parameters:
    ///   - files: all files of the model.
    ///   - cacheType: of keys and values.
    /// - Throws: ``LlamaError`` for a file that cannot be read.
    public init(files: [String], cacheType: LlamaOptions.CacheType = .f16) throws {
        let headers = try files.map(GGUFHeader.init)
        guard let first = headers.first else { throw LlamaError.noSuchFile(path: "") }
        func number(_ key: String) -> Double? { first.number("\(first.architecture).\(key)") }
        weights = headers.reduce(0) { $0 + $1.tensorBytes }
        let width = number("embedding_length") ?? 0
        let layers = Int(number("block_count") ?? 0)
        let heads = number("attention.head_count") ?? 1
        let headWidth = width / max(1, heads)
        let (keys, values) = (
            number("attention.key_length") ?? headWidth, number("attention.value_length") ?? headWidth
        )
        // Files of some models say it layer by layer.
        let each = first.numbers("\(first.architecture).attention.head_count_kv")
        let sameForAll = number("attention.head_count_kv") ?? heads
        let keyHeads = (0..<layers).reduce(0.0) { $0 + (each.indices.contains($1) ? each[$1] : sameForAll) }
        perToken = Int((keyHeads * (keys + values) * cacheType.bytes).rounded())
        self.cacheType = cacheType.rawValue
        let vocabulary = first.tensors.first { $0.name == "token_embd.weight" }?.shape.last ?? 0
        let forward = number("feed_forward_length") ?? 4 * width
        // Of 512 tokens in 32 bits: logits of those that have outputs, and the widest layer.
        compute = Int(512 * 4 * (Double(vocabulary) + 2 * forward + 4 * width))
    }
}
