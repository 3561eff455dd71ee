import Synchronization
import TransferQ
import TransferQTheory

/// A table that hands back something wrong from one of its calls on.
final class FaultyPolicy: InProcessPolicy {
    enum Fault: CaseIterable {
        case fewCandidates, noCandidates, manyCandidates, doubleCandidate, strangeCandidate, negativeCandidate
        case nanCandidate, positiveCandidate, infiniteCandidate, impossibleCandidates, unorderedCandidates
        case heavyCandidates, fewLists, manyLists
        case fewLogProbabilities, noLogProbabilities, nanLogProbability, positiveLogProbability
        case fewStarts, noStarts, manyStarts, fewRollouts, noRollouts, manyRollouts, emptyRollout, longRollout
        case shortRollout, strangeRollout, negativeRollout, nanRollout, impossibleRollout, fewRolloutNumbers
        case behindTheEnd, stopWithoutEnd, endWithoutStop, cancelledRollout, forgetfulRollout, candidatesOfNothing
        case emptyCandidateLists, fewReadings, manyReadings, nanReading, positiveReading, nanState, narrowState

        var isOfReading: Bool {
            [.fewReadings, .manyReadings, .nanReading, .positiveReading, .nanState, .narrowState].contains(self)
        }
    }

    private let base: TabularPolicy
    private let fault: Fault?
    private let first: Int
    private let calls = Counter()

    /// - Parameter first: the call, of those that the fault is about, from which on it goes wrong.
    init(_ base: TabularPolicy, _ fault: Fault?, from first: Int = 0) {
        self.base = base
        self.fault = fault
        self.first = first
    }

    private func isWrong(_ faults: Fault...) -> Fault? {
        guard let fault, faults.contains(fault), calls.next() >= first else { return nil }
        return fault
    }

    var tokenizer: any Tokenizer { base.tokenizer }
    var maximumResponseLength: Int { base.maximumResponseLength }
    var promptLength: Int { 0 }
    var stateSource: StateSource? { StateSource(weights: "faulty", prompt: []) }
    private var size: Token { Token(tokenizer.size) }

    func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        var list = try await base.propose(request)
        switch isWrong(
            .fewCandidates, .noCandidates, .manyCandidates, .doubleCandidate, .strangeCandidate, .negativeCandidate,
            .nanCandidate, .positiveCandidate, .infiniteCandidate, .impossibleCandidates, .unorderedCandidates,
            .heavyCandidates)
        {
        case .fewCandidates: list.removeLast()
        case .noCandidates: list = []
        case .manyCandidates: list.append(Candidate(token: size - 1, logProbability: -40))
        case .doubleCandidate: list[list.count - 1].token = list.count > 1 ? list[0].token : size
        case .strangeCandidate: list[list.count - 1].token = size
        case .negativeCandidate: list[0].token = -1
        case .nanCandidate: list[list.count - 1].logProbability = .nan
        case .positiveCandidate: list[0].logProbability = 2
        case .infiniteCandidate: list[0].logProbability = .infinity
        case .impossibleCandidates: for index in list.indices { list[index].logProbability = -.infinity }
        case .unorderedCandidates:
            list[0].logProbability = -50
            if list.count == 1 { list[0].logProbability = .nan }
        case .heavyCandidates:
            for index in list.indices { list[index].logProbability = list.count > 1 ? -0.01 : 0.1 }
        default: break
        }
        return list
    }

    func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
        var lists: [[Candidate]] = []
        for length in 0...path.count {
            lists.append(try await propose(after: request.response + path.prefix(length), count: request.count))
        }
        switch isWrong(.fewLists, .manyLists) {
        case .fewLists: lists.removeLast()
        case .manyLists: lists.append(lists[0])
        default: break
        }
        return lists
    }

    func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
        var numbers = try await base.score(continuations, after: response)
        guard !numbers.isEmpty else { return numbers }
        switch isWrong(.fewLogProbabilities, .noLogProbabilities, .nanLogProbability, .positiveLogProbability) {
        case .fewLogProbabilities: numbers.removeLast()
        case .noLogProbabilities: numbers = []
        case .nanLogProbability: numbers[0] = .nan
        case .positiveLogProbability: numbers[0] = 1
        default: break
        }
        return numbers
    }

    func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
        var lists = try await base.rollOut(request)
        switch isWrong(.fewStarts, .noStarts, .manyStarts, .fewRollouts, .noRollouts, .manyRollouts) {
        case .fewStarts: lists.removeLast()
        case .noStarts: lists = []
        case .manyStarts: lists.append(lists[0])
        case .fewRollouts: lists[0].removeLast()
        case .noRollouts: lists[0] = []
        case .manyRollouts: lists[0].append(lists[0][0])
        default: break
        }
        // A start that may go on, so that there is something to be wrong.
        guard let place = request.starts.indices.first(where: { request.starts[$0].maximumLength > 0 }),
            lists.indices.contains(place), !lists[place].isEmpty, !lists[place][0].tokens.isEmpty
        else { return lists }
        let end: Token = 0
        var rollout = lists[place][0]
        switch isWrong(
            .emptyRollout, .longRollout, .shortRollout, .strangeRollout, .negativeRollout, .nanRollout,
            .impossibleRollout, .fewRolloutNumbers, .behindTheEnd, .stopWithoutEnd, .endWithoutStop, .cancelledRollout,
            .forgetfulRollout, .candidatesOfNothing, .emptyCandidateLists)
        {
        case .emptyRollout: rollout = Rollout(finishReason: .length)
        case .longRollout:
            rollout.tokens = Array(repeating: 1, count: request.starts[place].maximumLength + 1)
            rollout.logProbabilities = rollout.tokens.map { _ in -1 }
            rollout.finishReason = .length
        case .shortRollout:
            rollout.tokens.removeLast()
            rollout.logProbabilities.removeLast()
            rollout.finishReason = .length
        case .strangeRollout: rollout.tokens[rollout.tokens.count - 1] = size
        case .negativeRollout: rollout.tokens[0] = -7
        case .nanRollout: rollout.logProbabilities[0] = .nan
        case .impossibleRollout: rollout.logProbabilities[0] = -.infinity
        case .fewRolloutNumbers: rollout.logProbabilities.removeLast()
        case .behindTheEnd:
            rollout.tokens = [end, 1]
            rollout.logProbabilities = [-1, -1]
            rollout.finishReason = .length
        case .stopWithoutEnd:
            rollout.tokens[rollout.tokens.count - 1] = 1
            rollout.finishReason = .stop
        case .endWithoutStop:
            rollout.tokens[rollout.tokens.count - 1] = end
            rollout.finishReason = .length
        case .cancelledRollout:
            rollout.tokens[rollout.tokens.count - 1] = 1
            rollout.finishReason = .cancelled
        case .forgetfulRollout:
            rollout.tokens = rollout.tokens.map { $0 == end ? end : 3 - $0 + (3 - $0 == end ? 2 : 0) }
            if request.starts[place].beginning.tokens.isEmpty { rollout.tokens = [] }
        case .candidatesOfNothing:
            rollout.candidates = rollout.tokens.map { _ in [] } + [[]]
        case .emptyCandidateLists: rollout.candidates = rollout.tokens.map { _ in [] }
        default: break
        }
        lists[place][0] = rollout
        return lists
    }

    func read(_ continuations: [Continuation], after response: [Token]) async throws -> [Reading] {
        var readings = try await base.score(continuations, after: response).map { Reading(logProbability: $0) }
        // Without continuations there is nothing to be wrong.
        guard !readings.isEmpty else { return readings }
        var state = PooledState(source: StateSource(weights: "faulty", prompt: []), last: [1, 2], mean: [1, 2])
        for index in readings.indices { readings[index].state = state }
        switch isWrong(.fewReadings, .manyReadings, .nanReading, .positiveReading, .nanState, .narrowState) {
        case .fewReadings: readings.removeLast()
        case .manyReadings: readings.append(readings[0])
        case .nanReading: readings[0].logProbability = .nan
        case .positiveReading: readings[0].logProbability = 0.5
        case .nanState:
            state.mean[1] = .nan
            readings[0].state = state
        case .narrowState:
            state.last = [1]
            readings[0].state = state
        default: break
        }
        return readings
    }
}

/// Counts calls.
final class Counter: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            defer { count += 1 }
            return count
        }
    }
}

/// A reward that hands back something wrong.
struct FaultyReward: RewardModel {
    enum Fault: CaseIterable {
        case few, none, many, nan, infinite, minusInfinite, tooHigh, tooLow, fewParts, manyParts
    }

    let fault: Fault
    var name: String { "faulty-reward" }
    var range: ClosedRange<Double>? { 0...1 }
    var partNames: [String] { [.fewParts, .manyParts].contains(fault) ? ["a", "b"] : [] }

    func rewards(for completions: [Completion]) async throws -> [Double] {
        var rewards = completions.map { _ in 0.5 }
        switch fault {
        case .few: rewards.removeLast()
        case .none: rewards = []
        case .many: rewards.append(0.5)
        case .nan: rewards[rewards.count - 1] = .nan
        case .infinite: rewards[0] = .infinity
        case .minusInfinite: rewards[0] = -.infinity
        case .tooHigh: rewards[0] = 1.5
        case .tooLow: rewards[0] = -0.5
        case .fewParts, .manyParts: break
        }
        return rewards
    }

    func scores(for completions: [Completion]) async throws -> [RewardScore] {
        try await rewards(for: completions).map { reward in
            switch fault {
            case .fewParts: RewardScore(reward: reward, parts: [0.5])
            case .manyParts: RewardScore(reward: reward, parts: [0.5, 0, 0])
            default: RewardScore(reward: reward)
            }
        }
    }
}

/// Values that are wrong.
struct FaultyValue: ValueEstimator {
    enum Fault: CaseIterable {
        case few, none, many, nan, infinite, minusInfinite, tooHigh, tooLow, usage, negativeUsage
    }

    let fault: Fault
    var name: String { "faulty-value" }
    var valueRange: ClosedRange<Double>? { [.tooHigh, .tooLow].contains(fault) ? 0...1 : nil }

    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
        var estimates = candidates.map { _ in ValueEstimate(value: 0.5) }
        var usage = Usage()
        switch fault {
        case .few: estimates.removeLast()
        case .none: estimates = []
        case .many: estimates.append(ValueEstimate(value: 0.5))
        case .nan: estimates[estimates.count - 1].value = .nan
        case .infinite: estimates[0].value = .infinity
        case .minusInfinite: estimates[0].value = -.infinity
        case .tooHigh: estimates[0].value = 1.1
        case .tooLow: estimates[0].value = -0.1
        case .usage, .negativeUsage: usage.rolloutTokens = fault == .usage ? .max : .min
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}

/// A method that changes what another one chose into what it must not be.
struct FaultyMethod: DecodingMethod {
    enum Fault: CaseIterable { case nothing, tooMany, stranger, negative, behindTheEnd, nanKL, usage }

    let fault: Fault

    func validate(vocabularySize: Int, hasReward: Bool) throws {}

    func demand(maximumLength: Int) -> RolloutDemand { .none }

    func decide(_ state: DecodingState) async throws -> Decision {
        var decision = try await DecodingMethods.make("greedy").method.decide(state)
        switch fault {
        case .nothing: decision.tokens = []
        case .tooMany: decision.tokens = Array(repeating: 1, count: state.remainingLength + 1)
        case .stranger: decision.tokens = [99]
        case .negative: decision.tokens = [-1]
        case .behindTheEnd: decision.tokens = [0, 1]
        case .nanKL: decision.kl = .nan
        case .usage: decision.usage.readTokens = .max
        }
        return decision
    }
}
