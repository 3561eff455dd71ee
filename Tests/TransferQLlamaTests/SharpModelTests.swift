import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama
import TransferQRewards

/// What must not change an answer, on random models whose choices rounding does not decide: thousands of cases of a few
/// milliseconds each.
@Suite(.serialized) struct SharpModelTests {
    /// Largest difference, in nats, that rounding in 32 bits may make to the log-probability of a text.
    static let rounding = 1e-3

    @Test func logProbabilitiesAreThoseOfTheDefinition() async throws {
        for seed in 0..<2 as Range<UInt64> {
            let sharp = try await SharpModel(seed: seed)
            let context = try await sharp.context()
            let texts = (0..<3).map { sharp.prompt($0) + sharp.tokens($0, count: $0) }
            let logits = try ModelWriter.reference(
                "llama", weights: sharp.weights, tokens: texts, shape: .sharp)
            var entropy = 0.0
            for (number, expected) in logits.enumerated() {
                let policy = try await sharp.policy(number, in: context)
                let all = expected.indices.map { Token($0) }
                let got = try await policy.logProbabilities(of: all, after: sharp.tokens(number, count: number))
                let logs = LogSpace.logSoftmax(expected)
                for (one, other) in zip(got, logs) { #expect(abs(one - other) < 1e-3) }
                entropy += LogSpace.entropy(logs) / Double(logits.count)
            }
            // Neither one token alone nor all alike.
            #expect((0.3...3).contains(entropy), "\(entropy)")
        }
    }

    // MARK: Searches

    static let methods: [(String, [String: ParameterValue])] = [
        ("args", [:]),
        ("cd", ["horizon": 4]),
        ("cd", ["horizon": 2, "rollouts": 6]),
        ("transfer-q", ["horizon": 6]),
        ("transfer-q", ["horizon": 3, "tilt": "baseline"]),
        ("transfer-q", ["horizon": 3, "rollouts": 5, "tilt": "baseline"]),
        ("transfer-q-indirect", ["horizon": 3, "rollouts": 4]),
        ("transfer-q-indirect", ["horizon": 4, "rollouts": 1, "rollout-temperature": 0]),
        ("transfer-q-soft", ["horizon": 3, "rollouts": 3]),
        ("transfer-q-soft", ["horizon": 4, "rollouts": 1, "rollout-temperature": 0]),
    ]

    /// What is switched off, the plain algorithm first.
    static let settings = ["all", "", "reuse,look-ahead", "prune,look-ahead", "prune,reuse"]

    /// How answers compare to those of the plain algorithm.
    struct Tally: Sendable {
        var answers = 0
        var compared = 0
        var ties = 0
        var plainWork = 0
        /// With pruning alone.
        var prunedWork = 0

        static func += (one: inout Tally, other: Tally) {
            one.answers += other.answers
            one.compared += other.compared
            one.ties += other.ties
            one.plainWork += other.plainWork
            one.prunedWork += other.prunedWork
        }
    }

    private static func compare(_ seed: UInt64, _ name: String, _ own: [String: ParameterValue]) async throws -> Tally {
        let sharp = try await SharpModel(seed: seed)
        let context = try await sharp.context()
        var tally = Tally()
        for number in 0..<3 {
            for (choice, alpha) in [("greedy", 0.02), ("greedy", 0.5), ("sample", 0.1)] {
                // Bounds need a range; without one there is nothing to prune by.
                let reward = SmoothReward(seed: seed, hasRange: number > 0)
                let parameters = own.merging(["k": 4, "alpha": .number(alpha), "choice": .text(choice)]) { $1 }
                var plain: Answer?
                for without in settings {
                    let speed: [String: ParameterValue] = without.isEmpty ? [:] : ["without": .text(without)]
                    let method = try DecodingMethods.make(name, parameters.merging(speed) { $1 }).method
                    let answer = try await Answer(
                        sharp.task(number, in: context, reward: reward, length: 10), method)
                    guard let first = plain else {
                        plain = answer
                        tally.plainWork += answer.work
                        continue
                    }
                    tally.answers += 1
                    tally.compared += answer.steps.count
                    if without == "reuse,look-ahead" { tally.prunedWork += answer.work }
                    if answer.tokens == first.tokens {
                        #expect(answer.summary.reward == first.summary.reward)
                        continue
                    }
                    let step = zip(answer.tokens, first.tokens).prefix { $0 == $1 }.count
                    let lead = first.lead(at: step, over: answer.tokens[step], isDrawn: choice == "sample")
                    tally.ties += 1
                    #expect(lead < 1e-4, "\(name) \(own) \(choice), seed \(seed), prompt \(number), without \(without)")
                }
            }
        }
        return tally
    }

    @Test(arguments: methods.indices)
    func everySpeedUpChoosesTheSameTokens(index: Int) async throws {
        let (name, own) = Self.methods[index]
        let total = try await Self.inTwoLanes(0..<4) { try await Self.compare($0, name, own) }
            .reduce(into: Tally()) { $0 += $1 }
        #expect(total.answers == 4 * 3 * 3 * 4 && total.compared > 2 * total.answers, "\(total)")
        #expect(total.ties <= 1, "\(total)")
        // Soft values have no range to prune by.
        if name != "transfer-q-soft" { #expect(total.prunedWork < total.plainWork, "\(total)") }
    }

    /// Works on seeds in two lanes of one thread each, so that two processors are busy.
    static func inTwoLanes<Value: Sendable>(
        _ seeds: Range<UInt64>, _ work: @escaping @Sendable (UInt64) async throws -> Value
    ) async throws -> [Value] {
        try await withThrowingTaskGroup(of: [Value].self) { group in
            for half in 0..<2 as Range<UInt64> {
                group.addTask {
                    try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) {
                        var values: [Value] = []
                        for seed in seeds where seed % 2 == half { values.append(try await work(seed)) }
                        return values
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    // MARK: Batches and lanes

    /// Every way to ask for an answer, by name.
    static let everyMethod: [(String, [String: ParameterValue])] =
        [
            ("greedy", [:]), ("sample", [:]), ("best-of-n", ["n": 5]), ("transfer-q", ["horizon": 2, "blockwise": 2]),
            ("transfer-q", ["horizon": 3, "kl-budget": 4, "choice": "sample"]),
            ("transfer-q", ["horizon": 8, "race": "on"]), ("transfer-q", ["horizon": 3, "choice": "greedy"]),
            ("transfer-q", ["horizon": 3, "confidence": 0.9]),
        ] + methods

    private static func answer(_ number: Int, _ sharp: SharpModel, in context: LlamaContext) async throws -> Answer {
        let (name, own) = everyMethod[number % everyMethod.count]
        let guided: [String: ParameterValue] = ["k": 4, "alpha": 0.03, "choice": "sample"]
        let method = try DecodingMethods.make(
            [name],
            sharing: guided.merging(own) { $1 }.filter { key, _ in
                key == "n" || !["greedy", "sample", "best-of-n"].contains(name)
            })[0].method
        let task = try await sharp.task(
            number, in: context, reward: SmoothReward(seed: sharp.seed), length: 8, rolloutLimit: 12)
        return try await Answer(task, method)
    }

    /// All methods at the same time in one context, in every kind of lane, against one after the other.
    @Test func answersSideBySideEqualThoseAlone() async throws {
        let count = 2 * Self.everyMethod.count
        for seed in 20..<24 as Range<UInt64> {
            let sharp = try await SharpModel(seed: seed)
            let alone = try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) {
                var answers: [Answer] = []
                for number in 0..<count { answers.append(try await Self.answer(number, sharp, in: sharp.context())) }
                return answers
            }
            #expect(Set(alone.map(\.tokens)).count > count / 2)
            // Two threads wait for each other at every operation of so small a model.
            for lane in [InferenceLane(threads: 1)] + (seed == 20 ? [InferenceLane(threads: 2)] : []) {
                let together = try await InferenceLane.$current.withValue(lane) {
                    let context = try await sharp.context(sequences: 256)
                    return try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
                        var answers: [Int: Answer] = [:]
                        for number in 0..<count {
                            // Eight at a time, as many as there are sequences for.
                            if number >= 8, let (done, answer) = try await group.next() { answers[done] = answer }
                            group.addTask { (number, try await Self.answer(number, sharp, in: context)) }
                        }
                        return try await group.reduce(into: answers) { $0[$1.0] = $1.1 }
                    }
                }
                for (number, expected) in alone.enumerated() {
                    let got = try #require(together[number])
                    let name = Self.everyMethod[number % Self.everyMethod.count]
                    #expect(got.tokens == expected.tokens, "\(name), seed \(seed), prompt \(number)")
                    #expect(got.summary.reward == expected.summary.reward)
                    #expect(abs((got.summary.kl ?? 0) - (expected.summary.kl ?? 0)) < Self.rounding)
                }
            }
        }
    }

    // MARK: The policy

    /// Greedy and sampled rollouts of many beginnings in one batch, and in waves where room is short, against one after
    /// the other.
    @Test func batchedRolloutsEqualSingleOnes() async throws {
        let rollouts = try await Self.inTwoLanes(30..<40) { seed in
            var rollouts = 0
            let sharp = try await SharpModel(seed: seed)
            let contexts = [try await sharp.context(), try await sharp.context(cells: 256, sequences: 8)]
            for number in 0..<6 {
                let response = sharp.tokens(number, count: number)
                let sampling = number % 2 == 0 ? Sampling.greedy : .ancestral
                let count = number % 2 == 0 ? 1 : 3
                func rollOut(_ prefixes: [[Token]], in context: LlamaContext) async throws -> [[Rollout]] {
                    try await sharp.policy(number, in: context).rollOut(
                        RolloutRequest(
                            response: response, prefixes: prefixes, count: count, maximumLength: 8, sampling: sampling,
                            noise: Noise(seed: seed)))
                }
                let prefixes = (0..<7).map { sharp.tokens(100 + $0 / 2, count: $0 % 4) }
                var single: [[Rollout]] = []
                for prefix in prefixes { single += try await rollOut([prefix], in: contexts[0]) }
                for context in contexts {
                    let batched = try await rollOut(prefixes, in: context)
                    #expect(batched.map { $0.map(\.tokens) } == single.map { $0.map(\.tokens) })
                    for (one, other) in zip(batched.joined(), single.joined()) {
                        #expect(abs(one.logProbability - other.logProbability) < Self.rounding)
                        rollouts += 1
                    }
                }
            }
            return rollouts
        }
        #expect(rollouts == [Int](repeating: 6 * 2 * 7 * 2, count: 10))
    }

    /// A policy that was asked for all sorts of things, beside another in a context where room is short, says what a fresh
    /// one says.
    @Test func nothingThatIsKeptChangesWhatComesNext() async throws {
        let kept = try await Self.inTwoLanes(50..<58) { try await Self.askAtRandom($0, questions: 120) }
        #expect(kept.allSatisfy { $0 > 0.2 }, "\(kept)")
    }

    /// - Returns: the share of tokens that were decoded already.
    private static func askAtRandom(_ seed: UInt64, questions: Int) async throws -> Double {
        let sharp = try await SharpModel(seed: seed)
        let context = try await sharp.context(cells: 256, sequences: 16)
        let (large, pair) = (
            try await sharp.context(), [try await sharp.policy(0, in: context), try await sharp.policy(1, in: context)]
        )
        var response: [Token] = []
        var fresh = 0
        for question in 0..<questions {
            let noise = Noise(seed: seed).derived(question)
            let which = Int(noise.derived(0).uniform * 2)
            let policy = pair[which]
            let expected = try await sharp.policy(which, in: large)
            // The response goes on, is cut, or is another one.
            switch noise.derived(1).uniform {
            case ..<0.6:
                let next = try await expected.propose(after: response, count: 3)
                response.append(next[Int(noise.derived(2).uniform * 3)].token)
                if policy.tokenizer.isEnd(response.last ?? 0) || response.count > 20 { response = [] }
            case ..<0.8: response = Array(response.prefix(Int(noise.derived(2).uniform * Double(response.count + 1))))
            case ..<0.85: response = sharp.tokens(question, count: 3)
            default: break
            }
            let path = sharp.tokens(200 + question % 3, count: question % 4)
            let starts = try await expected.propose(after: response, count: 5).map { [$0.token] }
            func equal(_ one: [Double], _ other: [Double]) -> Bool {
                one.count == other.count && zip(one, other).allSatisfy { abs($0 - $1) < rounding }
            }
            let sampling = noise.derived(4).uniform < 0.5 ? Sampling.greedy : .ancestral
            var request = RolloutRequest(
                response: response, prefixes: starts + [[]], count: 2, maximumLength: 4, sampling: sampling,
                noise: noise)
            switch Int(noise.derived(3).uniform * 5) {
            case 0:
                let one = try await policy.propose(ProposalRequest(response: response, count: 4), along: path)
                let other = try await expected.propose(ProposalRequest(response: response, count: 4), along: path)
                #expect(one.map { $0.map(\.token) } == other.map { $0.map(\.token) }, "seed \(seed), \(question)")
            case 1:
                let tokens = [starts.map { $0[0] }] + path.map { [7, $0] }
                let one = try await policy.logProbabilities(of: tokens, after: response, along: path)
                let other = try await expected.logProbabilities(of: tokens, after: response, along: path)
                #expect(equal(Array(one.joined()), Array(other.joined())), "seed \(seed), \(question)")
            case 2:
                request.wantsStates = noise.derived(5).uniform < 0.3
                request.candidateCount = 3
                let one = try await policy.rollOut(request)
                let other = try await expected.rollOut(request)
                #expect(one.map { $0.map(\.tokens) } == other.map { $0.map(\.tokens) }, "seed \(seed), \(question)")
                #expect(equal(one.joined().map(\.logProbability), other.joined().map(\.logProbability)))
            case 3:
                let continuations = (starts + [[]]).map { Continuation(prefix: $0, tokens: path) }
                let wantsStates = noise.derived(5).uniform < 0.5
                let one = try await policy.read(continuations, after: response, wantsStates: wantsStates)
                let other = try await expected.read(continuations, after: response, wantsStates: wantsStates)
                #expect(equal(one.map(\.logProbability), other.map(\.logProbability)), "seed \(seed), \(question)")
                for (one, other) in zip(one, other) {
                    #expect(equal(one.state?.mean.map(Double.init) ?? [], other.state?.mean.map(Double.init) ?? []))
                }
            default: try await policy.prepare(after: response, along: path)
            }
            fresh += await expected.decodedTokens
        }
        var decoded = 0
        for policy in pair { decoded += await policy.decodedTokens }
        return 1 - Double(decoded) / Double(fresh)
    }

    // MARK: Rewards

    /// A head on states that earlier texts left, or that come from the policy, against one that reads every text anew.
    @Test func headsOnKeptStatesGiveTheSameRewards() async throws {
        _ = try await Self.inTwoLanes(60..<62) { seed in
            let sharp = try await SharpModel(seed: seed)
            let noise = Noise(seed: seed)
            let backbone = LinearHead.Backbone(model: "sharp", sha256: "", type: nil, width: ModelWriter.width)
            let weights = (0..<ModelWriter.width).map { Float(noise.derived($0).uniform - 0.5) }
            for pooling in [LinearHead.Pooling.mean, .last, .end] {
                let head = LinearHead(backbone: backbone, template: .chat, pooling: pooling, weights: weights, bias: 0)
                func reward() async throws -> (any RewardModel, TextReader) {
                    let reader = TextReader(model: sharp.model, threads: 1)
                    return (try HeadReward(head, name: "head", reader: reader), reader)
                }
                let (kept, reader) = try await reward()
                let letters = Array("abcdefghijklmnopqrstuvwxyz ")
                var decoded = 0
                for round in 0..<40 {
                    // A response that grows, and now and then is another one, with a few endings each.
                    let own = noise.derived(round % 10 == 9 ? round : round / 10)
                    let start = (0..<(round % 10 + 1)).map { letters[Int(own.derived($0).uniform * 27)] }
                    let batch = (0..<4).map { ending in
                        Completion(
                            conversation: [Message(role: "user", content: "ask \(round % 2)")],
                            text: String(start) + String(repeating: letters[(round + ending) % 26], count: ending))
                    }
                    let values = try await kept.checkedRewards(for: batch)
                    let (fresh, other) = try await reward()
                    let single = try await fresh.checkedRewards(for: [batch[round % 4]])[0]
                    #expect(abs(single - values[round % 4]) < 1e-4)
                    decoded += await 4 * other.decodedTokens
                }
                #expect(await reader.decodedTokens < decoded / 2)
            }
        }
    }
}
