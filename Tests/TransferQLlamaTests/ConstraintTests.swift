import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Constraints in the engine, on a random model of letters.
@Suite(.serialized) struct ConstraintTests {
    /// A rollout under a stop string is the one without it, as far as the token that completes the string.
    @Test func rolloutsStopWhereTheStringIsComplete() async throws {
        let sharp = try await SharpModel(seed: 5)
        let context = try await sharp.context()
        var stopped = 0
        for number in 0..<8 {
            let policy = try await sharp.policy(number, in: context)
            let starts = try await policy.propose(after: [], count: 4).map { [$0.token] }
            for sampling in [Sampling.greedy, .ancestral] {
                var request = RolloutRequest(
                    response: [], prefixes: starts + [[]], count: 2, maximumLength: 8, sampling: sampling,
                    noise: Noise(seed: UInt64(number)))
                let free = try await policy.rollOut(request)
                // What the first one writes with its fourth and fifth token.
                let text = policy.tokenizer.text(of: free[0][0].tokens.prefix(5).suffix(2))
                guard !text.isEmpty else { continue }
                let stop = try StopStrings([text], tokenizer: policy.tokenizer)
                request.constraint = stop
                for (start, (bound, whole)) in zip(starts + [[]], zip(try await policy.rollOut(request), free)) {
                    for (one, other) in zip(bound, whole) {
                        let end = other.tokens.indices.first { stop.ends((start + other.tokens[...$0])[...]) }
                        #expect(one.tokens == end.map { Array(other.tokens[...$0]) } ?? other.tokens)
                        #expect(one.finishReason == (end == nil ? other.finishReason : .stop))
                        stopped += end == nil ? 0 : 1
                    }
                }
            }
        }
        #expect(stopped > 8)
    }

    /// Every other token.
    private struct EvenTokens: Constraint {
        let size: Int
        func allowed(after response: ArraySlice<Token>) -> AllowedTokens {
            .only(TokenSet((0..<Token(size)).filter { $0 % 2 == 0 }, size: size))
        }
    }

    @Test func onlyAllowedTokensAreWritten() async throws {
        let sharp = try await SharpModel(seed: 6)
        let policy = try await sharp.policy(1, in: sharp.context())
        let even = EvenTokens(size: policy.tokenizer.size)
        let free = try await policy.propose(after: [], count: policy.tokenizer.size)
        let list = try await policy.propose(ProposalRequest(response: [], count: 6, constraint: even))
        #expect(list == Array(free.filter { $0.token % 2 == 0 }.prefix(6)))
        for sampling in [Sampling.greedy, .ancestral, try Sampling(temperature: 0.7, topK: 5)] {
            var request = RolloutRequest(
                response: [], prefixes: [[list[0].token]], count: 20, maximumLength: 6, sampling: sampling,
                noise: Noise(seed: 2))
            request.constraint = even
            request.candidateCount = 3
            for rollout in try await policy.rollOut(request)[0] {
                #expect(rollout.tokens.allSatisfy { $0 % 2 == 0 })
                #expect(rollout.candidates.joined().allSatisfy { $0.token % 2 == 0 })
                for (token, list) in zip(rollout.tokens, rollout.candidates) where sampling.isGreedy {
                    #expect(token == list[0].token)
                }
            }
        }
    }

    /// The plain algorithm, speed-ups and all: a stop string changes no exactness.
    @Test func speedUpsChooseTheSameTokensUnderAStopString() async throws {
        let sharp = try await SharpModel(seed: 7)
        let context = try await sharp.context()
        var stopped = 0
        for number in 0..<4 {
            let reward = SmoothReward(seed: 7)
            let free = try await Answer(
                sharp.task(number, in: context, reward: reward, length: 12),
                DecodingMethods.make("transfer-q", ["k": 4, "horizon": 6]).method)
            // Not the U+FFFD that stands for bytes which are no character: those the string does not hold.
            guard let letter = free.summary.response.dropFirst(3).first(where: \.isASCII) else { continue }
            let stop = String(letter)
            var answers: [Answer] = []
            for without in ["all", "prune", "reuse", "look-ahead"] {
                var task = try await sharp.task(number, in: context, reward: reward, length: 12)
                task.stop = try StopStrings([stop], tokenizer: sharp.model.tokenizer)
                let method = try DecodingMethods.make(
                    "transfer-q", ["k": 4, "horizon": 6, "without": .text(without)])
                answers.append(try await Answer(task, method.method))
            }
            #expect(answers.allSatisfy { $0.tokens == answers[0].tokens }, "\(number)")
            #expect(answers.allSatisfy { !$0.summary.response.contains(stop) }, "\(stop.debugDescription)")
            #expect(answers.allSatisfy { $0.steps.map(\.text).joined() == $0.summary.response })
            stopped += answers[0].summary.finishReason == .stop ? 1 : 0
        }
        #expect(stopped > 0)
    }
}
