import Foundation
import Synchronization
import Testing
import TransferQ
import TransferQTheory

/// Answers that end before a string: what is shown, what is rewarded, and what rollouts see of it.
@Suite struct StopStringsTests {
    // MARK: Text

    /// Bytes are tokens; 256 ends.
    private struct Bytes: Tokenizer {
        let size = 257
        let fingerprint = "bytes"
        func isEnd(_ token: Token) -> Bool { token == 256 }
        func bytes(of token: Token) -> [UInt8] { token < 256 ? [UInt8(token)] : [] }
        func tokens(of text: String) throws -> [Token] { text.utf8.map { Token($0) } }
    }

    /// Pieces of a script are tokens, which the policy writes one after the other; the last token ends.
    private struct Pieces: Tokenizer {
        let pieces: [[UInt8]]
        var size: Int { pieces.count + 1 }
        var fingerprint: String { "pieces" }
        func isEnd(_ token: Token) -> Bool { token == pieces.count }
        func bytes(of token: Token) -> [UInt8] { isEnd(token) ? [] : pieces[Int(token)] }
        func tokens(of text: String) throws -> [Token] { [] }
    }

    private final class Script: Policy {
        let tokenizer: any Tokenizer
        let script: [Token]
        let promptLength = 0
        let maximumResponseLength = 1000

        init(_ tokenizer: any Tokenizer, _ script: [Token]) { (self.tokenizer, self.script) = (tokenizer, script) }

        private func next(_ place: Int) -> Token { place < script.count ? script[place] : Token(tokenizer.size - 1) }

        func propose(_ request: ProposalRequest) async throws -> [Candidate] {
            let first = next(request.response.count)
            let others = (0..<Token(tokenizer.size)).filter { $0 != first }.prefix(request.count - 1)
            return [Candidate(token: first, logProbability: -0.1)]
                + others.map { Candidate(token: $0, logProbability: -20) }
        }

        func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
            continuations.map { -0.1 * Double($0.tokens.count) }
        }

        func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] { [] }
    }

    private static func steps(
        _ pieces: [[UInt8]], stop: [String], length: Int = 100, budget: Int? = nil
    ) async throws -> (texts: [String], summary: GenerationSummary) {
        let tokenizer = Pieces(pieces: pieces)
        var task = try DecodingTask(
            reference: Script(tokenizer, pieces.indices.map { Token($0) }), maximumLength: length)
        if !stop.isEmpty { task.stop = try StopStrings(stop, tokenizer: tokenizer) }
        if let budget { task.budget = try .init(tokens: budget) }
        var texts: [String] = []
        for try await event in try Generation(task: task, method: DecodingMethods.make("greedy").method) {
            switch event {
            case .step(let step): texts.append(step.text)
            case .finished(let summary): return (texts, summary)
            }
        }
        throw CancellationError()
    }

    private static func bytes(_ pieces: [String]) -> [[UInt8]] { pieces.map { Array($0.utf8) } }

    @Test(arguments: [
        (["One. ", "Two.", "\n", "\nQ: why"], ["\n\nQ:"], "One. Two.", true),
        (["One. ", "Two.\n\nQ: why"], ["\n\nQ:", "Two"], "One. ", true),
        (["STOP"], ["STOP"], "", true),
        (["ST", "O", "P it"], ["STOP"], "", true),
        // What was held back is text after all.
        (["a", "ST", "OX", "ST"], ["STOP"], "aSTOXST", false),
        (["aab", "aabaac"], ["aabaac"], "aab", true),
        (["ab", "ab", "abc"], ["ababc"], "ab", true),
        // The string that is complete first counts; of two, the longer one.
        (["xab", "cd"], ["abcd", "bc"], "xa", true),
        (["x", "abc", "d"], ["abc", "c", "bc"], "x", true),
        (["none", " of it"], ["nothing"], "none of it", false),
    ])
    func theAnswerEndsBeforeTheString(pieces: [String], stop: [String], expected: String, stops: Bool) async throws {
        let (texts, summary) = try await Self.steps(Self.bytes(pieces), stop: stop)
        #expect(summary.response == expected)
        #expect(texts.joined() == expected)
        #expect(summary.finishReason == .stop)
        // Without a stop string it is the end token, one step more than the pieces, that ends the script.
        #expect((texts.count <= pieces.count) == stops)
        let written = summary.tokens.flatMap { Array(pieces[Int($0)].utf8) }
        #expect(Array(expected.utf8).starts(with: written))
        #expect(!stops || written.count <= expected.utf8.count)
        // Byte by byte, wherever tokens are cut.
        let (single, other) = try await Self.steps(pieces.joined().utf8.map { [$0] }, stop: stop, length: 1000)
        #expect(other.response == expected && single.joined() == expected)
        #expect(other.tokens.count == expected.utf8.count)
    }

    @Test func tokensMayCutCharacters() async throws {
        let text = "né… 🌊ß"
        for stop in ["…", "🌊", "é", "🌊ß", "n", "ß", "~"] {
            let cut = text.utf8.count
            for width in 1...cut {
                let all = Array(text.utf8)
                let pieces = stride(from: 0, to: cut, by: width).map { Array(all[$0..<min(cut, $0 + width)]) }
                let (texts, summary) = try await Self.steps(pieces, stop: [stop])
                let expected = text.components(before: stop)
                #expect(summary.response == expected && texts.joined() == expected, "\(stop), \(width) bytes a token")
            }
        }
    }

    /// An answer that ends for another reason has lost nothing.
    @Test func whatWasHeldBackIsShownAtTheEnd() async throws {
        let pieces = Self.bytes(["ab", "c", "ST", "O", "P"])
        for length in 1...4 {
            let expected = ["ab", "abc", "abcST", "abcSTO"][length - 1]
            let (texts, summary) = try await Self.steps(pieces, stop: ["STOP"], length: length)
            #expect(summary.response == expected && texts.joined() == expected)
            #expect(summary.finishReason == .length && summary.tokens.count == length)
            let (shown, spent) = try await Self.steps(pieces, stop: ["STOP"], budget: length)
            #expect(spent.response == expected && shown.joined() == expected)
            #expect(spent.finishReason == .budget)
        }
    }

    @Test func emptyStringsAreRefused() {
        for strings in [[], [""], ["a", ""]] as [[String]] {
            let error = #expect(throws: TransferQError.self) { try StopStrings(strings, tokenizer: Bytes()) }
            #expect(error?.description == "stop must be a text of at least one character, not \"\"")
        }
    }

    // MARK: The oracle

    static let methods: [(String, [String: ParameterValue])] = [
        ("greedy", [:]), ("sample", [:]), ("sample", ["top-k": 3]), ("args", ["k": 4]), ("best-of-n", ["n": 3]),
        ("cd", ["k": 4, "horizon": 10]), ("transfer-q", ["k": 4, "horizon": 10]),
        ("transfer-q", ["k": 4, "horizon": 10, "tilt": "baseline"]),
        ("transfer-q", ["k": 4, "horizon": 10, "rollouts": 3, "choice": "sample"]),
        ("transfer-q-indirect", ["k": 4, "horizon": 10, "rollouts": 3]),
        ("transfer-q-soft", ["k": 4, "horizon": 10, "rollouts": 2]),
    ]
    private static let length = 6
    private static let stop: [Token] = [2, 1]

    /// The tokens before the stop string.
    private static func kept(_ tokens: [Token]) -> [Token] {
        for place in tokens.indices.dropLast() where tokens[place] == stop[0] && tokens[place + 1] == stop[1] {
            return Array(tokens[..<place])
        }
        return tokens
    }

    /// A table whose every row behind the stop string ends the response.
    private static func ending(_ policy: TabularPolicy) throws -> TabularPolicy {
        var rows: [[Token]: [Double]] = [:]
        var open: [[Token]] = [[]]
        while let prefix = open.popLast() {
            rows[prefix] =
                try kept(prefix) == prefix
                ? policy.logRow(after: prefix).map { exp($0) } : [1, 0, 0, 0]
            guard prefix.count + 1 < length else { continue }
            open += (1..<4).map { prefix + [$0] }
        }
        return TabularPolicy(tokenizer: TabularTokenizer(size: 4, endToken: 0), maximumLength: length, rows: rows)
    }

    /// A stop string does what an end token behind it would do, and a reward sees what stands before it.
    @Test(arguments: methods.indices)
    func itIsAnEndTokenBehindTheString(index: Int) async throws {
        let (name, parameters) = Self.methods[index]
        var stopped = 0
        for seed in 0..<60 as Range<UInt64> {
            let reward = TabularReward(name: "smooth", range: 0...1) { tokens in
                let parts = Self.kept(tokens.filter { $0 != 0 }).enumerated().map {
                    Noise(seed: seed).derived($0.offset).derived(Int($0.element)).uniform
                }
                return parts.isEmpty ? 0.5 : parts.reduce(0, +) / Double(parts.count)
            }
            func policy(_ salt: UInt64) -> TabularPolicy {
                .random(vocabularySize: 4, maximumLength: Self.length, endToken: 0, seed: seed &* 31 &+ salt)
            }
            var task = try DecodingTask(
                reference: policy(1), baseline: policy(2), reward: reward, maximumLength: Self.length, seed: seed)
            let text = task.reference.tokenizer.text(of: Self.stop)
            task.stop = try StopStrings([text], tokenizer: task.reference.tokenizer)
            let (tokens, summary, _) = try await SearchTests.answer(name, parameters, task)
            let (expected, other, _) = try await SearchTests.answer(
                name, parameters,
                DecodingTask(
                    reference: Self.ending(policy(1)), baseline: Self.ending(policy(2)), reward: reward,
                    maximumLength: Self.length, seed: seed))
            #expect(Self.withoutEnd(tokens) == Self.withoutEnd(expected), "\(name) \(parameters), seed \(seed)")
            #expect(summary.reward == other.reward)
            #expect(summary.tokens == Self.kept(Self.withoutEnd(tokens)))
            #expect(!summary.response.contains(text))
            stopped += Self.kept(tokens) != tokens ? 1 : 0
        }
        #expect(stopped > 2)
    }

    private static func withoutEnd(_ tokens: [Token]) -> [Token] { tokens.filter { $0 != 0 } }

    // MARK: Rollouts

    /// Notes what it reads.
    private final class Spy: RewardModel {
        let texts = Mutex<[(text: String, isFinished: Bool)]>([])
        var name: String { "spy" }
        var range: ClosedRange<Double>? { 0...1 }

        func rewards(for completions: [Completion]) async throws -> [Double] {
            texts.withLock { $0 += completions.map { ($0.text, $0.isFinished) } }
            return completions.map { 1 / Double(1 + $0.text.utf8.count) }
        }
    }

    /// Of texts that tokens cut in the middle of the string.
    @Test func rolloutsEndWhereTheStringWould() async throws {
        let spy = Spy()
        var task = try DecodingTask(
            reference: TabularPolicy.random(vocabularySize: 4, maximumLength: 8, endToken: nil, seed: 5),
            reward: spy, maximumLength: 8)
        task.stop = try StopStrings([" 3 "], tokenizer: task.reference.tokenizer)
        let (_, summary, _) = try await SearchTests.answer("transfer-q", ["k": 4, "horizon": 8, "rollouts": 5], task)
        let texts = spy.texts.withLock { $0 }
        #expect(texts.count > 20)
        #expect(texts.allSatisfy { !$0.text.contains(" 3 ") })
        // Cut before the blank, which a whole text never is.
        let cut = texts.filter { !$0.text.isEmpty && !$0.text.hasSuffix(" ") }
        #expect(cut.count > 5 && cut.allSatisfy(\.isFinished))
        #expect(!summary.response.contains(" 3 "))
    }

    // MARK: Other constraints

    /// Allows tokens that differ from the last one.
    private struct NoRepetition: Constraint {
        func allowed(after response: ArraySlice<Token>) -> AllowedTokens {
            .only(TokenSet((0..<4).filter { $0 != response.last }, size: 4))
        }
    }

    @Test func onlyAllowedTokensAreProposedAndRolledOut() async throws {
        let policy = try DecodingTask(
            reference: TabularPolicy.random(vocabularySize: 4, maximumLength: 9, endToken: nil, seed: 8),
            maximumLength: 9
        ).reference
        let list = try await policy.propose(ProposalRequest(response: [2], count: 4, constraint: NoRepetition()))
        #expect(list.count == 3 && !list.contains { $0.token == 2 })
        let free = try await policy.propose(after: [2], count: 4)
        #expect(list == free.filter { $0.token != 2 })
        for sampling in [Sampling.greedy, .ancestral, try Sampling(temperature: 0.5, topK: 2)] {
            var request = RolloutRequest(
                response: [2], prefixes: [[], [1]], count: 20, maximumLength: 7, sampling: sampling,
                noise: Noise(seed: 3))
            request.candidateCount = 2
            request.constraint = NoRepetition()
            for (prefix, rollouts) in zip([[], [1]] as [[Token]], try await policy.rollOut(request)) {
                for rollout in rollouts {
                    let text = [2] + prefix + rollout.tokens
                    #expect(zip(text.dropFirst(prefix.count), text.dropFirst(prefix.count + 1)).allSatisfy { $0 != $1 })
                    #expect(rollout.tokens.count == 7)
                }
            }
        }
    }
}

extension String {
    fileprivate func components(before stop: String) -> String {
        guard let range = utf8.indices.first(where: { utf8[$0...].starts(with: stop.utf8) }) else { return self }
        return String(self[..<range])
    }
}
