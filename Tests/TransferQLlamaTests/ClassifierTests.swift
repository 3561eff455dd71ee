import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama
import TransferQRewards

/// Classifiers of the tests' own, against their definition.
@Suite(.serialized) struct ClassifierTests {
    @Test func classifiersAgreeWithTheirDefinition() async throws {
        let folder = try TemporaryFolder()
        for labels in [[], ["bad", "so-so", "good"]] {
            let file = folder.file("classifier\(labels.count).gguf")
            let weights = try ModelWriter.tinyClassifier(to: file, labels: labels)
            let model = try await LlamaModel(path: file.path, purpose: .classification)
            let classifier = try await LlamaClassifier(model: model)
            #expect(classifier.labels == (labels.isEmpty ? ["0"] : labels))
            let asked = [Message(role: "user", content: "ab")]
            let texts = ["c", "de f", "zyx wvu tsr", "a a a a a a"].map { Completion(conversation: asked, text: $0) }
            // [CLS] conversation [SEP] response [SEP], a letter a token, those that begin a word apart.
            let tokens = texts.map { completion -> [Token] in
                func pieces(_ text: String) -> [Token] {
                    text.split(separator: " ").flatMap { word in
                        word.utf8.enumerated().map { Token(4 + 2 * Int($1 - 97) + ($0 == 0 ? 0 : 1)) }
                    }
                }
                return [2] + pieces("ab") + [3] + pieces(completion.text) + [3]
            }
            let expected = try ModelWriter.reference("bert", weights: weights, tokens: tokens)
            let values = try await classifier.scores(of: texts)
            for (value, reference) in zip(values.joined(), expected.joined()) {
                #expect(abs(Double(value) - reference) < 1e-3)
            }
            for (index, text) in texts.enumerated() {
                let single = try await classifier.scores(of: [text])
                #expect(zip(single[0], values[index]).allSatisfy { abs($0 - $1) < 1e-4 })
            }
            guard !labels.isEmpty else { continue }
            let good = try ClassifierReward(name: "gguf", classifier: classifier, label: "good")
            #expect(try await good.checkedRewards(for: texts) == values.map { Double($0[2]) })
            let error = #expect(throws: TransferQError.self) {
                try ClassifierReward(name: "gguf", classifier: classifier, label: nil)
            }
            #expect(error?.description.contains("bad, so-so, good") == true)
        }
    }
}
