import Foundation
import Testing
import TransferQ

@Suite struct NumericsTests {
    /// A row with the range of real logits.
    private func row(_ count: Int, seed: UInt64) -> [Float] {
        let noise = Noise(seed: seed)
        return (0..<count).map { Float(30 * noise.derived($0).uniform - 20) }
    }

    @Test(arguments: [1, 7, 8, 9, 511, 513, 49_152])
    func rowAgreesWithPlainArithmetic(count: Int) throws {
        let logits = row(count, seed: UInt64(count))
        try logits.withUnsafeBufferPointer { buffer in
            let row = LogitRow(buffer)
            #expect(abs(row.logSumExp - LogSpace.logSumExp(logits.map(Double.init))) < 1e-6)
            let top = try #require(row.top)
            #expect(top.logit == logits.max())
            #expect(Int(top.token) == logits.firstIndex(of: top.logit))
            for k in [1, 3, count] where k <= count {
                let expected = logits.indices.sorted { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
                #expect(row.candidates(count: k).map { Int($0.token) } == Array(expected.prefix(k)))
            }
            let all = row.candidates(count: count).map { exp($0.logProbability) }.reduce(0, +)
            #expect(abs(all - 1) < 1e-6)
        }
    }

    @Test func topKBreaksTiesByIndex() {
        let values: [Double] = [1, 3, 3, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(TopK.indices(count: 3, of: values) == [1, 2, 4])
        #expect(TopK.indices(count: 100, of: values).count == values.count)
        #expect(TopK.indices(count: 0, of: values).isEmpty)
    }

    @Test func rowsThatAreNotNumbersAreSeen() {
        for bad in [[Float](repeating: .nan, count: 20), [0, .nan, 1], []] {
            bad.withUnsafeBufferPointer { buffer in
                let row = LogitRow(buffer)
                #expect(!row.logSumExp.isFinite)
                #expect(row.sample(temperature: 1, uniform: 0.5) == nil)
            }
        }
    }

    @Test(arguments: [0.5, 1.0, 2.0])
    func rowSamplingFollowsTheSoftmax(temperature: Double) throws {
        let logits = row(1200, seed: 3).map { $0 / 6 }
        let probabilities = LogSpace.logSoftmax(logits.map { Double($0) / temperature }).map { exp($0) }
        var counts = [Int](repeating: 0, count: logits.count)
        try logits.withUnsafeBufferPointer { buffer in
            for draw in 0..<40_000 {
                let uniform = Noise(seed: 11).derived(draw).uniform
                let token = try #require(LogitRow(buffer).sample(temperature: Float(temperature), uniform: uniform))
                counts[Int(token)] += 1
            }
        }
        #expect(ChiSquare.accepts(counts: counts, probabilities: probabilities))
    }

    @Test func noiseIsUniformAndDependsOnEveryKey() {
        let noise = Noise(seed: 5).derived(.choice)
        var counts = [Int](repeating: 0, count: 16)
        for key in 0..<32_000 { counts[Int(noise.derived(key).uniform * 16)] += 1 }
        #expect(ChiSquare.accepts(counts: counts, probabilities: [Double](repeating: 1.0 / 16, count: 16)))
        let distinct: Set<Double> = [
            noise.derived(1).derived(2).uniform, noise.derived(2).derived(1).uniform, noise.derived(3).uniform,
            Noise(seed: 6).derived(.choice).derived(3).uniform, Noise(seed: 5).derived(.rollout).derived(3).uniform,
        ]
        #expect(distinct.count == 5)
        #expect(noise.derived(3).uniform == Noise(seed: 5).derived(.choice).derived(3).uniform)
    }

    @Test func logSpaceHandlesItsEdges() {
        #expect(LogSpace.logSumExp([]) == -.infinity)
        #expect(LogSpace.logSumExp([-.infinity, -.infinity]) == -.infinity)
        #expect(abs(LogSpace.logSumExp([1000, 1000]) - (1000 + log(2))) < 1e-12)
        #expect(LogSpace.klDivergence([-.infinity, 0], from: [-1, -2]) == 2)
    }

    @Test func filtersKeepTheTokensTheyPromise() throws {
        let probabilities = [0.4, 0.3, 0.2, 0.06, 0.04]
        let candidates = probabilities.enumerated().map {
            Candidate(token: Token($0), logProbability: log($1))
        }
        func kept(_ sampling: Sampling) -> [Token] { sampling.distribution(over: candidates).map(\.token) }
        #expect(kept(.greedy) == [0])
        #expect(kept(.ancestral) == [0, 1, 2, 3, 4])
        #expect(kept(try Sampling(topK: 2)) == [0, 1])
        #expect(kept(try Sampling(topP: 0.5)) == [0, 1])
        #expect(kept(try Sampling(minP: 0.3)) == [0, 1, 2])
        let hot = try Sampling(temperature: 2, topK: 3).distribution(over: candidates)
        let weights = [0.4, 0.3, 0.2].map { $0.squareRoot() }
        for (candidate, weight) in zip(hot, weights) {
            #expect(abs(exp(candidate.logProbability) - weight / weights.reduce(0, +)) < 1e-12)
        }
    }

    @Test func textNeverBreaksInsideACharacter() {
        let text = "naïve 日本 👩‍🚀 end"
        for size in 1...5 {
            var stream = TextStream()
            var pieces: [String] = []
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                pieces.append(stream.append(Array(bytes.prefix(size))))
                bytes = bytes.dropFirst(size)
            }
            #expect(pieces.joined() == text)
            #expect(pieces.allSatisfy { !$0.contains("\u{FFFD}") })
            #expect(stream.finish().isEmpty)
        }
        var stream = TextStream()
        #expect(stream.append([0xFF, 0x41]) == "\u{FFFD}A")
        #expect(stream.append([0xF0, 0x9F]).isEmpty)
        #expect(stream.finish() == "\u{FFFD}")
    }
}
