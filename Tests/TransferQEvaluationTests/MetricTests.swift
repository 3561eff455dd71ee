import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQEvaluation
import TransferQLlama

@Suite struct MetricTests {
    private let reference = ReferenceMetrics.all

    @Test func wordsAreThoseOfPython() {
        #expect(reference.texts.count == 50)
        for entry in reference.texts { #expect(Words(entry.text).list == entry.words, "\(entry.text)") }
    }

    @Test func repetitionAndDiversityAgreeWithPython() {
        for entry in reference.texts {
            let repetition = Repetition(entry.text)
            for (own, other) in zip(repetition.rates, entry.repetition) { #expect(abs(own - other) < 1e-6) }
            #expect(abs(repetition.diversity - entry.diversity) < 1e-6)
        }
    }

    @Test func distinctAgreesWithPython() throws {
        let texts = reference.texts.map(\.text)
        for n in 1...3 {
            let set = Distinct(n, of: texts)
            #expect(abs(try #require(set.share) - reference.distinct[n - 1]) < 1e-6)
            // Leaving out is the same as never having had.
            let rest = try #require(set.share(without: [texts[30], texts[40]]))
            let fewer = texts.enumerated().filter { $0.offset != 30 && $0.offset != 40 }.map(\.element)
            #expect(rest == Distinct(n, of: fewer).share)
        }
        #expect(Distinct(2, of: ["one", ""]).share == nil)
    }

    @Test func lengthControlAgreesWithPython() throws {
        let judgements = reference.judgements
        let own = try #require(LengthControl(outcomes: judgements.outcomes, lengths: judgements.lengths))
        #expect(abs(own.winRate - judgements.lengthControlled) < 1e-6)
    }

    /// A judge that only counts letters prefers neither side at equal lengths.
    @Test func lengthsExplainWhatTheyExplain() throws {
        let lengths = (0..<400).map { Double(($0 * 37) % 101) - 20 }
        let outcomes = lengths.map { $0 > 0 ? 1.0 : 0.0 }
        let plain = outcomes.reduce(0, +) / Double(outcomes.count)
        let fair = try #require(LengthControl(outcomes: outcomes, lengths: lengths))
        #expect(plain > 0.75 && abs(fair.winRate - 0.5) < 0.1 && fair.slope > 2)
        // Where one side always wins it stays a number.
        let all = try #require(LengthControl(outcomes: [1, 1, 1], lengths: [5, 5, 5]))
        #expect(all.winRate > 0.9 && all.winRate < 1)
        #expect(LengthControl(outcomes: [], lengths: []) == nil)
    }

    @Test func metricsAreReadAndWritten() throws {
        for text in ["repetition", "distinct", "coherence", "coherence:a:b.gguf", "perplexity:m@f32"] {
            #expect(try MetricSpec(parsing: text).text == text)
        }
        for text in ["", "rep", "distinct:2", "perplexity", "coherence:"] {
            #expect(throws: EvaluationError.self) { try MetricSpec(parsing: text) }
        }
    }
}

/// The encoder of `make-encoder` against the original in transformers.
@Suite struct TextEncoderTests {
    @Test func embeddingsAreTheOriginals() async throws {
        let path = ModelStore.standard.file("all-MiniLM-L6-v2.F32.gguf").path
        try #require(FileManager.default.fileExists(atPath: path), "make it with scripts/make-encoder")
        let encoder = try await TextEncoder(path: path)
        let reference = ReferenceMetrics.all
        let own = try await encoder.embeddings(of: reference.texts.map(\.text))
        for (number, entry) in reference.texts.enumerated() {
            // The original takes markers in a text for markers; here what people wrote stays text.
            if entry.text.contains("[CLS]") {
                let inside = await encoder.tokens(of: entry.text).dropFirst().dropLast()
                #expect(!inside.contains { entry.tokens.first == $0 || entry.tokens.last == $0 })
                continue
            }
            #expect(await encoder.tokens(of: entry.text) == entry.tokens, "\(entry.text.prefix(60))")
            let cosine = TextEncoder.cosine(own[number], reference.embedding(number))
            #expect(cosine > 0.999, "\(entry.text.prefix(60)): \(cosine)")
        }
        // What is read beside a text does not matter.
        let alone = try await encoder.embeddings(of: [reference.texts[25].text])
        #expect(TextEncoder.cosine(alone[0], own[25]) > 0.999999)
    }

    @Test func otherModelsAreNoEncoders() async throws {
        let folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("m.gguf"))
        await #expect(throws: LlamaError.notEncoder(path: folder.file("m.gguf").path)) {
            _ = try await TextEncoder(path: folder.file("m.gguf").path)
        }
    }
}
