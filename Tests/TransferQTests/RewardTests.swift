import Testing
import TransferQ

@Suite struct RewardTests {
    private func rewards(_ specifications: [String], _ texts: [String]) async throws -> [Double] {
        let completions = texts.map { Completion(conversation: [], text: $0, tokens: [], isFinished: true) }
        return try await RewardSpecification.parse(specifications).checkedRewards(for: completions)
    }

    @Test func lengthPeaksAtItsTarget() async throws {
        let values = try await rewards(["length:4"], ["", "a b", "a b c  d", "a b c d e f", "1 2 3 4 5 6 7 8 9"])
        #expect(values == [0, 0.5, 1, 0.5, 0])
    }

    @Test func keywordsCountWholeWordsOnce() async throws {
        let texts = ["Tea, and more tea.", "teapot", "TEA with hate", "hateful tea", "nothing", "thé vert"]
        #expect(try await rewards(["keywords:tea,-hate"], texts) == [1, 0, 0, 1, 0, 0])
        #expect(try await rewards(["keywords:tea,milk"], ["tea"]) == [0.5])
        #expect(try await rewards(["keywords:thé vert"], texts) == [0, 0, 0, 0, 0, 1])
        #expect(try RewardSpecification.parse(["keywords:a,b"]).range == 0...1)
        #expect(try RewardSpecification.parse(["keywords:a,-b"]).range == -1...1)
        #expect(try RewardSpecification.parse(["keywords:-b"]).range == -1...0)
    }

    @Test func regexMatchesAnywhere() async throws {
        #expect(try await rewards(["regex:[0-9]+"], ["a 12", "none"]) == [1, 0])
        #expect(try await rewards(["regex:a:b"], ["xa:b", "ab"]) == [1, 0])
    }

    @Test func sumsWeighTheirParts() async throws {
        let values = try await rewards(["length:2", "keywords:tea:0.5", "regex:x:-2"], ["tea now", "x tea"])
        #expect(values == [1.5, -0.5])
        let range = try #require(try RewardSpecification.parse(["length:2", "keywords:tea:0.5", "regex:x:-2"]).range)
        #expect(abs(range.lowerBound + 2) < 1e-9 && abs(range.upperBound - 1.5) < 1e-9)
        #expect(try RewardSpecification.parse(["length:2"]).name == "length:2")
    }

    @Test(arguments: [
        "length:", "length:0", "length:-3", "length:many", "keywords:", "keywords:a,,b", "keywords:-", "regex:(",
        "regex:", "tokens:3", "length", "", "length:3:nan", "length:3:inf",
    ])
    func badSpecificationsAreRefusedInASentence(text: String) {
        let error = #expect(throws: TransferQError.self) { try RewardSpecification.parse([text]) }
        #expect(error?.description.hasPrefix("the reward '") == true)
    }
}
