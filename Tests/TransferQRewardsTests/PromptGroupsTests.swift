import Foundation
import Testing
import TransferQ
import TransferQRewards

/// Splits of data go by prompts.
@Suite struct PromptGroupsTests {
    private static func answer(_ prompt: String?, _ text: String) -> Completion {
        Completion(
            conversation: prompt.map { [Message(role: "user", content: $0)] } ?? [], text: text, tokens: [],
            isFinished: true)
    }

    private static func normals(_ count: Int, _ noise: Noise) -> [Float] {
        (0..<count).map { place in
            Float((0..<12).reduce(-6) { $0 + noise.derived(place).derived($1).uniform })
        }
    }

    @Test func equalConversationsShareAGroup() {
        let groups = PromptGroups([
            [Self.answer("a", "1"), Self.answer("a", "2")], [Self.answer("b", "1"), Self.answer("b", "2")],
            [Self.answer(" a\n", "3"), Self.answer("a", "4")], [Self.answer(nil, "x")], [Self.answer(nil, "y")],
            [Self.answer(nil, "x")], [Self.answer("c", "1"), Self.answer("d", "2")],
            [Self.answer("d", "1"), Self.answer("d", "3")],
        ])
        #expect(groups.numbers == [0, 1, 0, 2, 3, 2, 4, 4])
        #expect(groups.members == [[0, 2], [1], [3, 5], [4], [6, 7]])
        // A system prompt makes another conversation.
        let system = Completion(
            conversation: [Message(role: "system", content: "be kind"), Message(role: "user", content: "a")],
            text: "1", tokens: [], isFinished: true)
        #expect(PromptGroups([[Self.answer("a", "1")], [system]]).members.count == 2)
    }

    /// Six pairs for each of ten prompts: every fold holds whole prompts, and all pairs are in one.
    @Test func foldsTearNoPromptApart() {
        let prompts = (0..<60).map { "prompt \($0 % 10)" }
        let states = (0..<120).map { _ in
            PooledState(source: StateSource(weights: "", prompt: []), last: [0], mean: [0])
        }
        let answers = prompts.enumerated().flatMap { [Self.answer($1, "\($0)"), Self.answer($1, "-\($0)")] }
        let data = FitData(states: states, answers: answers, kind: .pairs, pooling: .last)
        let folds = data.folds(5, seed: 3)
        #expect(folds.map(\.count) == [12, 12, 12, 12, 12])
        #expect(folds.joined().sorted() == Array(0..<60))
        let owners = folds.map { Set($0.map { prompts[$0] }) }
        for (index, one) in owners.enumerated() {
            for other in owners[(index + 1)...] { #expect(one.isDisjoint(with: other)) }
        }
        #expect(data.folds(5, seed: 3) == folds && data.folds(5, seed: 4) != folds)
        // Fewer prompts than folds, and a single one.
        #expect(PromptGroups(labels: [0, 0, 1, 1, 0]).folds(5, seed: 0).map(\.count).sorted() == [2, 3])
        #expect(PromptGroups(labels: [0, 0, 0, 0]).folds(3, seed: 0).map(\.count) == [2, 1, 1])
    }

    /// What people like differs from prompt to prompt without any rule. A fit that has seen the other pairs of a prompt
    /// knows this one as well; for a prompt that it has not seen it knows nothing, and that is what counts.
    @Test func knowingThePromptIsNotMistakenForARule() async {
        let noise = Noise(seed: 31)
        let prompts = 24
        var states: [PooledState] = []
        var answers: [Completion] = []
        for pair in 0..<(6 * prompts) {
            let prompt = pair % prompts
            let direction = Self.normals(48, noise.derived(prompt))
            let centre = Self.normals(48, noise.derived(1000 + pair))
            for sign in [1, -1] as [Float] {
                let state = zip(centre, direction).map { $0 + sign * $1 }
                states.append(
                    PooledState(source: StateSource(weights: "", prompt: []), last: state, mean: state))
                answers.append(Self.answer("prompt \(prompt)", "\(pair) \(sign)"))
            }
        }
        let honest = await HeadFit(FitData(states: states, answers: answers, kind: .pairs, pooling: .last))
        let accuracies = honest.path.map(\.accuracy)
        #expect(accuracies.allSatisfy { $0 < 0.8 }, "\(accuracies)")
        // Taken for pairs of prompts of their own, all is known.
        let torn = await HeadFit(FitData(states: states, kind: .pairs, pooling: .last))
        #expect(torn.path.contains { $0.accuracy > 0.95 })
        #expect(torn.regularization < honest.regularization)
    }

    @Test func tracesTellScoresAndChoices() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "trace-\(UUID().uuidString).jsonl").path
        defer { try? FileManager.default.removeItem(atPath: path) }  // a scratch file
        func line(_ step: Int, _ candidates: String) -> String {
            "{\"prompt\": 0, \"conversation\": [{\"role\": \"user\", \"content\": \"a\"}], \"step\": \(step), "
                + "\"tokens\": [7], \"candidates\": [\(candidates)]}\n"
        }
        let whole = """
            {"tokens": [5], "value": 1, "score": 0.5}, {"tokens": [7], "value": 2, "score": "-inf"}
            """
        try (line(0, whole) + line(1, whole + ", {\"tokens\": [8], \"value\": null, \"score\": 0}"))
            .write(toFile: path, atomically: true, encoding: .utf8)
        let states = try ValueTrace(path).states
        #expect(states.map(\.isWhole) == [true, false] && states.allSatisfy { $0.chosen == 1 })
        #expect(states[0].scores == [0.5, -.infinity] && states[0].values == [1, 2])
        try line(0, whole.replacing("\"value\": 2", with: "\"value\": \"nan\""))
            .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: RewardError.self) { try ValueTrace(path) }
    }
}
