import TestSupport
import TransferQ
import TransferQLlama

/// A random question about a response, asked of a policy on a ``FakeBackend``: what the policy says must be what its tokens
/// alone come to.
struct PolicyQuestion: Sendable {
    enum Kind: CaseIterable {
        case propose, logProbabilities, greedyRollouts, sampledRollouts, read, announce
    }

    let kind: Kind
    let response: [Token]
    /// What a question about several positions goes along.
    let path: [Token]
    let noise: Noise

    /// - Returns: a sentence for everything that is wrong with the answer.
    func mistakes(of policy: LlamaPolicy, prompt: [Token], on backend: FakeBackend) async throws -> [String] {
        let before = prompt + response
        switch kind {
        case .propose: return try await proposals(policy, before, backend)
        case .logProbabilities: return try await logProbabilities(policy, before, backend)
        case .greedyRollouts: return try await rollouts(policy, before, backend, sampling: .greedy)
        case .sampledRollouts: return try await rollouts(policy, before, backend, sampling: .ancestral)
        case .read: return try await readings(policy, before, backend)
        case .announce:
            try await policy.prepare(after: response, along: path)
            return []
        }
    }

    private static func isNear(_ one: Double, _ other: Double) -> Bool { abs(one - other) < 1e-6 }

    private func proposals(
        _ policy: LlamaPolicy, _ before: [Token], _ backend: FakeBackend
    ) async throws -> [String] {
        let got = try await policy.propose(ProposalRequest(response: response, count: 3), along: path)
        var mistakes = got.count == path.count + 1 ? [] : ["\(got.count) proposals along \(path)"]
        for (ahead, candidates) in got.enumerated() {
            let logs = backend.logProbabilities(after: before + path.prefix(ahead))
            var best: [Token] = []
            for _ in 0..<3 {
                let rest = logs.indices.filter { !best.contains(Token($0)) }
                if let next = rest.max(by: { logs[$0] < logs[$1] }) { best.append(Token(next)) }
            }
            if candidates.map(\.token) != best { mistakes.append("proposed \(candidates), not \(best)") }
            for one in candidates where !Self.isNear(one.logProbability, logs[Int(one.token)]) {
                mistakes.append("proposed \(one) of log-probability \(logs[Int(one.token)])")
            }
        }
        return mistakes
    }

    private func logProbabilities(
        _ policy: LlamaPolicy, _ before: [Token], _ backend: FakeBackend
    ) async throws -> [String] {
        let tokens: [[Token]] = (0...path.count).map { _ in [4, 20, 21] }
        let got = try await policy.logProbabilities(of: tokens, after: response, along: path)
        var mistakes: [String] = []
        for (ahead, values) in got.enumerated() {
            let logs = backend.logProbabilities(after: before + path.prefix(ahead))
            for (token, value) in zip(tokens[ahead], values) where !Self.isNear(value, logs[Int(token)]) {
                mistakes.append("log-probability \(value) of \(token), which is \(logs[Int(token)])")
            }
        }
        return mistakes
    }

    private func rollouts(
        _ policy: LlamaPolicy, _ before: [Token], _ backend: FakeBackend, sampling: Sampling
    ) async throws -> [String] {
        let prefixes: [[Token]] = [[], [20], [20, 21], [21], [22, 20, 23]]
        var request = RolloutRequest(
            response: response, prefixes: prefixes, count: 2, maximumLength: 4, sampling: sampling, noise: noise)
        request.wantsStates = noise.derived(7).uniform < 0.3
        var mistakes: [String] = []
        for (prefix, rollouts) in zip(prefixes, try await policy.rollOut(request)) {
            if rollouts.count != 2 { mistakes.append("\(rollouts.count) rollouts") }
            for rollout in rollouts {
                for (place, token) in rollout.tokens.enumerated() {
                    let logs = backend.logProbabilities(after: before + prefix + rollout.tokens.prefix(place))
                    let log = logs[Int(token)]
                    if sampling == .greedy, log != logs.max() { mistakes.append("\(token) is not the likeliest") }
                    if !Self.isNear(rollout.logProbabilities[place], log) {
                        mistakes.append("rolled out \(token) at \(rollout.logProbabilities[place]), not \(log)")
                    }
                }
                guard let state = rollout.state, rollout.finishReason == .length else { continue }
                if state.last != backend.states(after: before + prefix + rollout.tokens) {
                    mistakes.append("a rollout with a wrong state")
                }
            }
        }
        return mistakes
    }

    private func readings(
        _ policy: LlamaPolicy, _ before: [Token], _ backend: FakeBackend
    ) async throws -> [String] {
        let continuations = [[20], [20], [21, 22], []].map { Continuation(prefix: $0, tokens: path) }
        // Without states where only next tokens are asked for.
        let readings =
            path.count == 2
            ? try await policy.read(continuations, after: response)
            : try await policy.score(continuations, after: response).map { Reading(logProbability: $0) }
        var mistakes: [String] = []
        for (continuation, reading) in zip(continuations, readings) {
            var expected = 0.0
            for place in path.indices {
                let logs = backend.logProbabilities(after: before + continuation.prefix + path.prefix(place))
                expected += logs[Int(path[place])]
            }
            if !Self.isNear(reading.logProbability, expected) {
                mistakes.append("read \(reading.logProbability), not \(expected)")
            }
            if let state = reading.state,
                state.last != backend.states(after: before + continuation.prefix + path)
            {
                mistakes.append("read a wrong state")
            }
        }
        return mistakes
    }
}
