import Foundation
import Testing
import TransferQ

@Suite struct RewardTests {
    private func rewards(_ specifications: [String], _ texts: [String]) async throws -> [Double] {
        let completions = texts.map { Completion(conversation: [], text: $0, tokens: [], isFinished: true) }
        return try await RewardCatalogue.rules.parse(specifications).checkedRewards(for: completions)
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
        #expect(try await RewardCatalogue.rules.parse(["keywords:a,b"]).range == 0...1)
        #expect(try await RewardCatalogue.rules.parse(["keywords:a,-b"]).range == -1...1)
        #expect(try await RewardCatalogue.rules.parse(["keywords:-b"]).range == -1...0)
    }

    @Test func regexMatchesAnywhere() async throws {
        #expect(try await rewards(["regex:[0-9]+"], ["a 12", "none"]) == [1, 0])
        #expect(try await rewards(["regex:a:b"], ["xa:b", "ab"]) == [1, 0])
    }

    @Test func sumsWeighTheirParts() async throws {
        let values = try await rewards(["length:2", "keywords:tea:0.5", "regex:x:-2"], ["tea now", "x tea"])
        #expect(values == [1.5, -0.5])
        let sum = try await RewardCatalogue.rules.parse(["length:2", "keywords:tea:0.5", "regex:x:-2"])
        let range = try #require(sum.range)
        #expect(abs(range.lowerBound + 2) < 1e-9 && abs(range.upperBound - 1.5) < 1e-9)
        #expect(try await RewardCatalogue.rules.parse(["length:2"]).name == "length:2")
    }

    @Test func addressesKeepTheirPorts() async throws {
        let seen = RewardKind(name: "http", argument: "//HOST", summary: "") { argument in
            LengthRewardNamed(name: "http:\(argument)")
        }
        let catalogue = RewardCatalogue.rules.adding([seen])
        for (text, name) in [
            ("http://host:8000", "http://host:8000"), ("http://host:8000/path", "http://host:8000/path"),
            ("http://host:8000/path:0.5", "http://host:8000/path:0.5"),
        ] {
            #expect(try await catalogue.parse([text]).name == name)
        }
        let sum = try #require(try await catalogue.parse(["http://host:8000/path:0.5"]) as? WeightedSumReward)
        #expect(sum.parts[0].weight == 0.5 && sum.parts[0].reward.name == "http://host:8000/path")
    }

    private struct LengthRewardNamed: RewardModel {
        let name: String
        var range: ClosedRange<Double>? { nil }

        func rewards(for completions: [Completion]) async throws -> [Double] { completions.map { _ in 0 } }
    }

    @Test func modifiersChangeRewardsAndTheirRanges() async throws {
        let texts = ["", "a b", "a b c d"]  // 0, 0.5 and 1 by length:4
        #expect(try await rewards(["z:0.5,0.25:length:4"], texts) == [-2, 0, 2])
        #expect(try await RewardCatalogue.rules.parse(["z:0.5,0.25:length:4"]).range == -2...2)
        #expect(try await rewards(["clip:0.2..0.7:length:4"], texts) == [0.2, 0.5, 0.7])
        let squashed = try await rewards(["squash:2:z:0.5,0.25:length:4"], texts)
        #expect(zip(squashed, [-2 * tanh(1.0), 0, 2 * tanh(1.0)]).allSatisfy { abs($0 - $1) < 1e-12 })
        let range = try #require(try await RewardCatalogue.rules.parse(["squash:2:regex:x"]).range)
        #expect(range.lowerBound == 0 && abs(range.upperBound - 2 * tanh(0.5)) < 1e-12)
        #expect(try await rewards(["clip:-1..1:z:0.5,0.25:length:4:0.5", "regex:b"], texts) == [-0.5, 1, 1.5])
        let name = "clip:-1.0..1.0:z:0.5,0.25:length:4"
        #expect(try await RewardCatalogue.rules.parse([name]).name == name)
    }

    @Test func sumsTellTheirParts() async throws {
        let reward = try await RewardCatalogue.rules.parse(["length:2", "keywords:tea:0.5"])
        let completion = Completion(conversation: [], text: "green tea", tokens: [], isFinished: true)
        let scores = try await reward.checkedScores(for: [completion])
        #expect(scores == [RewardScore(reward: 1.5, parts: [1, 0.5])])
        #expect(reward.partNames == ["length:2", "keywords:tea:0.5"])
    }

    @Test(arguments: [
        "z:length:4", "z:1:length:4", "z:0,0:length:4", "z:0,-1:length:4", "z:0,nan:length:4", "clip:length:4",
        "clip:1..0:length:4", "clip:0..inf:length:4", "squash:0:length:4", "squash:length:4", "clip:0..1", "z:",
        "length:", "length:0", "length:-3", "length:many", "keywords:", "keywords:a,,b", "keywords:-", "regex:(",
        "regex:", "tokens:3", "length", "", "length:3:nan", "length:3:inf",
    ])
    func badSpecificationsAreRefusedInASentence(text: String) async {
        let error = await #expect(throws: TransferQError.self) { try await RewardCatalogue.rules.parse([text]) }
        #expect(error?.description.hasPrefix("the reward '") == true)
    }
}
