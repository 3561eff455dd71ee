import Foundation
import Testing
import TransferQ
import TransferQTheory

/// The core trusts nobody: whatever a policy, a value, a reward or a method hands back ends in an answer or in an error that
/// names it, never in a trap or a hang.
@Suite(.timeLimit(.minutes(3))) struct BoundaryTests {
    static let length = 5

    static func table(_ seed: UInt64) -> TabularPolicy {
        .random(vocabularySize: 4, maximumLength: length, endToken: 0, spread: 0.5, seed: seed)
    }

    static let methods: [(String, [String: ParameterValue])] = [
        ("greedy", [:]), ("greedy", ["policy": "baseline"]), ("sample", [:]), ("sample", ["policy": "baseline"]),
        ("sample", ["top-k": 2]), ("best-of-n", ["n": 3]), ("best-of-n", ["n": 3, "policy": "baseline"]),
        ("args", ["k": 3]), ("cd", ["k": 3, "horizon": 3]), ("transfer-q", ["k": 3, "horizon": 4]),
        ("transfer-q", ["k": 3, "horizon": 4, "tilt": "baseline", "alpha": 0.1]),
        ("transfer-q", ["k": 3, "horizon": 4, "tilt": "baseline", "without": "all"]),
        ("transfer-q", ["k": 3, "horizon": 4, "rollouts": 3, "race": "on"]),
        ("transfer-q", ["k": 3, "horizon": 4, "blockwise": 2]), ("transfer-q", ["k": 3, "horizon": 4, "kl-budget": 1]),
        ("transfer-q", ["k": 3, "horizon": 4, "kl-budget": 0]), ("transfer-q", ["k": 3, "confidence": 0.9]),
        ("transfer-q-indirect", ["k": 3, "horizon": 3, "rollouts": 2]),
        ("transfer-q-soft", ["k": 3, "horizon": 3, "rollouts": 2, "clip": 1]),
    ]

    /// An answer, or what went wrong.
    static func outcome(
        _ method: any DecodingMethod, reference: any Policy, baseline: (any Policy)?, reward: (any RewardModel)?,
        baselineReward: (any RewardModel)? = nil, head: (any ValueHead)? = nil, seed: UInt64 = 0
    ) async -> Result<[Token], any Error> {
        do {
            var task = try DecodingTask(
                reference: reference, baseline: baseline, reward: reward, baselineReward: baselineReward,
                maximumLength: length, seed: seed)
            task.valueHead = head
            for try await event in try Generation(task: task, method: method) {
                if case .finished(let summary) = event { return .success(summary.tokens) }
            }
            return .failure(CancellationError())
        } catch {
            return .failure(error)
        }
    }

    @Test(arguments: FaultyPolicy.Fault.allCases)
    func policiesThatMisbehaveAreNamed(fault: FaultyPolicy.Fault) async throws {
        var breaches = 0
        for (name, parameters) in Self.methods {
            let method = try DecodingMethods.make(name, parameters).method
            for isBaseline in [false, true] {
                // From the first call on, and from a later one, which may never come.
                for first in [0, 1, 2, 5] {
                    let faulty = FaultyPolicy(Self.table(1), fault, from: first)
                    let other = FaultyPolicy(Self.table(2), nil)
                    let outcome = await Self.outcome(
                        method, reference: isBaseline ? other : faulty, baseline: isBaseline ? faulty : other,
                        reward: StateReward(isOn: fault.isOfReading), seed: UInt64(first))
                    guard case .failure(let error) = outcome else { continue }
                    guard case .policyBreach(let policy, let reason)? = error as? TransferQError else {
                        Issue.record("\(name) \(parameters) \(fault): \(error)")
                        continue
                    }
                    #expect(policy == (isBaseline ? "the baseline" : "the reference") + " (FaultyPolicy)")
                    #expect(reason.hasPrefix("returned "))
                    breaches += 1
                }
            }
        }
        #expect(breaches > 0, "\(fault) did no harm")
    }

    @Test func policiesThatBehavePass() async throws {
        for (name, parameters) in Self.methods {
            let method = try DecodingMethods.make(name, parameters).method
            for seed in 0..<10 as Range<UInt64> {
                let outcome = await Self.outcome(
                    method, reference: FaultyPolicy(Self.table(1), nil), baseline: FaultyPolicy(Self.table(2), nil),
                    reward: StateReward(isOn: false), seed: seed)
                let plain = await Self.outcome(
                    method, reference: Self.table(1), baseline: Self.table(2), reward: StateReward(isOn: false),
                    seed: seed)
                #expect(try outcome.get() == plain.get())
            }
        }
    }

    @Test(arguments: FaultyReward.Fault.allCases)
    func rewardsThatMisbehaveAreNamed(fault: FaultyReward.Fault) async throws {
        for (name, parameters) in Self.methods {
            let method = try DecodingMethods.make(name, parameters).method
            let outcome = await Self.outcome(
                method, reference: Self.table(1), baseline: Self.table(2), reward: FaultyReward(fault: fault))
            let error = #expect(throws: TransferQError.self) { try outcome.get() }
            #expect(error?.description.hasPrefix("the reward faulty-reward returned ") == true)
        }
        // The baseline's reward as well.
        let method = try DecodingMethods.make("transfer-q-indirect", ["k": 3]).method
        let outcome = await Self.outcome(
            method, reference: Self.table(1), baseline: Self.table(2), reward: StateReward(isOn: false),
            baselineReward: FaultyReward(fault: fault))
        let error = #expect(throws: TransferQError.self) { try outcome.get() }
        #expect(error?.description.hasPrefix("the reward faulty-reward returned ") == true)
    }

    @Test(arguments: FaultyValue.Fault.allCases)
    func valuesThatMisbehaveAreNamed(fault: FaultyValue.Fault) async throws {
        let method = SteeredDecoding(guidance: try Guidance(k: 3, alpha: 1), estimator: FaultyValue(fault: fault))
        let outcome = await Self.outcome(method, reference: Self.table(1), baseline: nil, reward: nil)
        let error = #expect(throws: TransferQError.self) { try outcome.get() }
        #expect(error?.description.hasPrefix("the value faulty-value returned ") == true)
    }

    private struct Boaster: RewardModel {
        let mean: Double
        let spread: Double
        var name: String { "boaster" }
        var range: ClosedRange<Double>? { nil }
        var calibration: RewardCalibration? { RewardCalibration(mean: mean, spread: spread, count: 9) }

        func rewards(for completions: [Completion]) async throws -> [Double] { completions.map { _ in 0 } }
    }

    @Test func whatRewardsAndHeadsSayOfThemselvesIsChecked() async throws {
        let method = try DecodingMethods.make("transfer-q", ["k": 3, "confidence": 0.9]).method
        let policy = FaultyPolicy(Self.table(1), nil)
        for (mean, spread) in [(0, 0), (0, -1), (0, Double.nan), (0, .infinity), (.nan, 1), (.infinity, 1)] {
            let outcome = await Self.outcome(
                method, reference: policy, baseline: nil, reward: Boaster(mean: mean, spread: spread))
            let error = #expect(throws: TransferQError.self) { try outcome.get() }
            #expect(error?.description.hasPrefix("the reward boaster states a mean of") == true)
        }
        for spread in [0, -1, Double.nan, .infinity] {
            let head = FaultyHead(prediction: 0.5, differenceSpread: spread)
            let outcome = await Self.outcome(method, reference: policy, baseline: nil, reward: nil, head: head)
            let error = #expect(throws: TransferQError.self) { try outcome.get() }
            #expect(error?.description.hasPrefix("the value head faulty-head states a spread") == true)
        }
    }

    private struct FaultyHead: ValueHead {
        let prediction: Double
        var differenceSpread = 0.1
        var name: String { "faulty-head" }
        var range: ClosedRange<Double> { 0...1 }
        func value(of state: PooledState) -> Double { prediction }
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity, 1.5, -0.5])
    func headsThatMisbehaveAreNamed(prediction: Double) async throws {
        for name in ["cd", "transfer-q"] {
            let method = try DecodingMethods.make(name, ["k": 3]).method
            let outcome = await Self.outcome(
                method, reference: FaultyPolicy(Self.table(1), nil), baseline: nil, reward: nil,
                head: FaultyHead(prediction: prediction))
            let error = #expect(throws: TransferQError.self) { try outcome.get() }
            #expect(error?.description.hasPrefix("the value faulty-head returned ") == true)
        }
    }

    @Test(arguments: FaultyMethod.Fault.allCases)
    func methodsThatMisbehaveAreNamed(fault: FaultyMethod.Fault) async throws {
        let outcome = await Self.outcome(
            FaultyMethod(fault: fault), reference: Self.table(1), baseline: nil, reward: nil)
        let error = #expect(throws: TransferQError.self) { try outcome.get() }
        #expect(error?.description.hasPrefix("the method FaultyMethod chose ") == true)
    }

    private struct Reader: ConversationReader {
        let policy: any Policy
        var extra: [Token] = []

        func policy(for conversation: [Message], texts: [[Token]]) async throws -> any Policy { policy }

        func tokens(of completion: Completion) async throws -> [Token] { completion.tokens + extra }
    }

    @Test func modelsOfAnImplicitRewardAreNamed() async throws {
        let completion = Completion(conversation: [], text: "ab", tokens: [1, 2], isFinished: false)
        for fault in [
            FaultyPolicy.Fault.fewLogProbabilities, .noLogProbabilities, .nanLogProbability, .positiveLogProbability,
        ] {
            let good = Reader(policy: Self.table(1))
            let bad = Reader(policy: FaultyPolicy(Self.table(2), fault))
            for (aligned, base, role) in [(bad, good, "aligned"), (good, bad, "base")] {
                let reward = try ImplicitReward(name: "implicit:x", aligned: aligned, base: base)
                let error = await #expect(throws: TransferQError.self) {
                    try await reward.checkedRewards(for: [completion])
                }
                #expect(
                    error?.description.hasPrefix("the \(role) model of the reward implicit:x (FaultyPolicy) returned ")
                        == true)
            }
        }
        // Tokens of another vocabulary.
        let reward = try ImplicitReward(
            name: "implicit:x", aligned: Reader(policy: Self.table(1), extra: [9]), base: Reader(policy: Self.table(2)))
        let error = await #expect(throws: TransferQError.self) { try await reward.checkedRewards(for: [completion]) }
        #expect(error?.description.contains("was given the token 9") == true)
    }

    // MARK: Parameters

    @Test func hugeNumbersAreRefusedWhereTheyAreGiven() throws {
        let numbers: [(String, String)] = [
            ("transfer-q", "k"), ("transfer-q", "rollouts"), ("transfer-q", "horizon"), ("transfer-q", "blockwise"),
            ("transfer-q", "width"), ("transfer-q-soft", "rollouts"), ("transfer-q-indirect", "rollouts"),
            ("cd", "rollouts"), ("best-of-n", "n"), ("args", "k"), ("sample", "top-k"),
        ]
        for (method, name) in numbers {
            for value in [Int.max, Int.max - 1, 1 << 62, 1 << 32, 0, -1, Int.min] {
                let error = #expect(throws: TransferQError.self) {
                    try DecodingMethods.make(method, [name: .integer(value)])
                }
                #expect(error?.description.hasPrefix("\(name) must be a whole number of at least 1") == true)
            }
        }
        #expect(throws: TransferQError.self) { try Guidance(k: .max, alpha: 1) }
        let error = #expect(throws: TransferQError.self) {
            try DecodingMethods.make("transfer-q", ["k": 100_000, "rollouts": 100_000])
        }
        #expect(error?.description.hasPrefix("the number of rollouts of a step must be at most") == true)
    }

    private final class BoundlessPolicy: Policy {
        let base = BoundaryTests.table(1)
        let room: Int
        let promptLength: Int

        init(room: Int, promptLength: Int = 0) {
            self.room = room
            self.promptLength = promptLength
        }

        var tokenizer: any Tokenizer { base.tokenizer }
        var maximumResponseLength: Int { room }

        private func folded(_ response: [Token]) -> [Token] { Array(response.suffix(2)) }

        func propose(_ request: ProposalRequest) async throws -> [Candidate] {
            try await base.propose(after: folded(request.response), count: request.count)
        }

        /// Next tokens are scored as the table has them, longer continuations at -1.
        func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
            guard continuations.allSatisfy({ $0.prefix.isEmpty && $0.tokens.count == 1 }) else {
                return continuations.map { _ in -1 }
            }
            return try await base.score(continuations, after: folded(response))
        }

        func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
            // Ends at once.
            request.starts.map { start in
                start.numbers.map { _ in
                    start.beginning.tokens.isEmpty
                        ? Rollout(tokens: [0], logProbabilities: [-1], finishReason: .stop) : start.beginning
                }
            }
        }
    }

    @Test func hugeTasksRun() async throws {
        for (name, parameters) in [
            ("sample", [:]), ("best-of-n", ["n": 2]), ("transfer-q", ["k": 4, "horizon": 1_000_000]),
            ("transfer-q", ["k": 4, "blockwise": 1_000_000]), ("transfer-q-soft", ["k": 4, "rollouts": 2]),
        ] as [(String, [String: ParameterValue])] {
            var task = try DecodingTask(
                reference: BoundlessPolicy(room: .max), reward: StateReward(isOn: false), maximumLength: .max)
            task.batchWidth = .max
            task.budget = try DecodingTask.Budget(tokens: 50)
            let method = try DecodingMethods.make(name, parameters).method
            _ = method.demand(maximumLength: .max)
            for try await _ in try Generation(task: task, method: method) {}
        }
        for (room, prompt) in [(0, 0), (-1, 0), (Int.min, 0), (5, -1), (5, Int.max)] {
            let error = #expect(throws: TransferQError.self) {
                try DecodingTask(reference: BoundlessPolicy(room: room, promptLength: prompt), maximumLength: 3)
            }
            #expect(error?.description.hasPrefix("the reference (BoundlessPolicy) has ") == true)
        }
    }

    @Test func onePolicyInBothRolesStaysOne() throws {
        let (one, two) = (Self.table(1), Self.table(2))
        let alone = try DecodingTask(reference: one, maximumLength: 2)
        #expect(alone.reference === alone.baseline)
        let twice = try DecodingTask(reference: one, baseline: one, maximumLength: 2)
        #expect(twice.reference === twice.baseline)
        let pair = try DecodingTask(reference: one, baseline: two, maximumLength: 2)
        #expect(pair.reference !== pair.baseline)
        // A policy out of a task is the policy that went in.
        let again = try DecodingTask(reference: pair.reference, baseline: one, maximumLength: 2)
        #expect(again.reference === again.baseline)
        let swapped = try DecodingTask(reference: pair.baseline, baseline: pair.reference, maximumLength: 2)
        #expect(swapped.reference !== swapped.baseline)
    }
}

/// A reward in 0...1 that may ask for the hidden states of a ``FaultyPolicy``.
struct StateReward: RewardModel {
    let isOn: Bool
    var name: String { "states" }
    var range: ClosedRange<Double>? { 0...1 }

    func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { completion in
            completion.tokens.reduce(Noise(seed: 5)) { $0.derived(Int($1)) }.uniform
        }
    }

    func stateSource(for conversation: [Message]) async throws -> StateSource? {
        isOn ? StateSource(weights: "faulty", prompt: []) : nil
    }
}
