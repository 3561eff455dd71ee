import Foundation
import Testing
import TransferQ
import TransferQEvaluation
import TransferQRuntime

@Suite struct EvaluationTableTests {
    private func record(_ methods: String, seeds: String = "[0]") throws -> RunSpecification {
        let spec = try EvaluationSpec(
            json: Data(
                """
                {"prompts": {"file": "p"}, "methods": \(methods), "reward": "length:3", "gold": {"g": "length:5"},
                 "seeds": \(seeds), "metrics": ["repetition", "distinct"]}
                """.utf8), path: "e.json")
        return RunSpecification(spec, settings: RunSettings(), program: "test")
    }

    private func answer(_ method: String, _ prompt: Int, seed: UInt64 = 0, reward: Double, text: String = "a b")
        -> AnswerLine
    {
        var line = AnswerLine(
            AnswerPlace(prompt: prompt, promptHash: "\(prompt)", method: method, seed: seed), messages: [],
            response: text, tokens: [1, 2], finish: .stop, answer: "\(method) \(prompt) \(seed)")
        line.reward = reward
        return line
    }

    @Test func differencesArePairedByPrompt() throws {
        // Prompts differ much more than methods do.
        let rewards = [0.0, 10, 20, 30, 40]
        let gains = [0.9, 1.1, 1.0, 1.2, 0.8]
        let answers = rewards.enumerated().flatMap { prompt, reward in
            [answer("greedy", prompt, reward: reward), answer("args", prompt, reward: reward + gains[prompt])]
        }
        let table = EvaluationTable(try record(#"["greedy", "args"]"#), answers: answers, gold: [], metrics: [])
        #expect(table.reference == "greedy" && table.rows.map(\.method) == ["greedy", "args"])
        let cell = try #require(table.rows[1].cells["reward"])
        #expect(abs(cell.value.mean - 21) < 1e-12 && (cell.value.low ?? 0) < 2)
        let difference = try #require(cell.difference)
        #expect(abs(difference.value.mean - 1) < 1e-12 && difference.isDifferent)
        #expect(difference.value == MeanInterval(gains.map { $0 }) || abs((difference.value.low ?? 0) - 0.8037) < 1e-3)
        #expect(difference.wins == 5 && difference.ties == 0 && difference.losses == 0)
        #expect(table.rows[0].cells["reward"]?.difference == nil)
        // Nothing was scored, and the metrics are not there.
        #expect(table.rows[0].cells["gold:g"] == nil && table.rows[0].cells["diversity"] == nil)
        #expect(table.text.contains("+1.000 ±0.196 *"), "\(table.text)")
    }

    @Test func noWinnerWhereTheIntervalHoldsZero() throws {
        let answers = [1.0, -0.9, 0.8, -1.1, 1.2].enumerated().flatMap { prompt, gain in
            [answer("greedy", prompt, reward: 0), answer("args", prompt, reward: gain)]
        }
        let table = EvaluationTable(try record(#"["greedy", "args"]"#), answers: answers, gold: [], metrics: [])
        let difference = try #require(table.rows[1].cells["reward"]?.difference)
        #expect(!difference.isDifferent && difference.wins == 3 && difference.losses == 2)
        #expect(!table.text.contains("±1.3") || !table.text.contains("1.3 *"))
    }

    @Test func seedsOfAPromptCountOnce() throws {
        let answers = (0..<4).flatMap { prompt in
            [answer("greedy", prompt, reward: Double(prompt))]
                + (0..<3).map { answer("sample", prompt, seed: $0, reward: Double(prompt) + 1) }
        }
        let table = EvaluationTable(
            try record(#"[{"name": "greedy", "seeds": [0]}, "sample"]"#, seeds: "[0, 1, 2]"), answers: answers,
            gold: [],
            metrics: [])
        let row = table.rows[1]
        #expect(row.prompts == 4 && row.answers == 12 && row.cells["reward"]?.value.clusters == 4)
        // Every answer is paired with the only one that there is.
        #expect(row.cells["reward"]?.difference?.wins == 12 && row.cells["reward"]?.difference?.value.clusters == 4)
    }

    @Test func valuesComeFromTheirFiles() throws {
        let answers = (0..<3).flatMap { prompt in
            [
                answer("greedy", prompt, reward: 0, text: "a b c"),
                answer("args", prompt, reward: 0, text: "a a \(prompt)"),
            ]
        }
        let gold = answers.map { ValueLine(answer: $0.answer, name: "g", value: $0.method == "args" ? 2 : 1) }
        let metrics = answers.map { ValueLine(answer: $0.answer, name: "diversity", value: $0.prompt == 0 ? nil : 0.5) }
        let table = EvaluationTable(try record(#"["greedy", "args"]"#), answers: answers, gold: gold, metrics: metrics)
        #expect(table.rows[1].cells["gold:g"]?.value.mean == 2)
        #expect(table.rows[1].cells["gold:g"]?.difference?.value.mean == 1)
        // An answer without a value is left out.
        #expect(table.rows[0].cells["diversity"]?.answers == 2)
        // a b c three times: 3 of 9; a a 0, a a 1, a a 2: 4 of 9.
        #expect(table.rows[0].cells["distinct-1"]?.value.mean == 3.0 / 9)
        #expect(table.rows[1].cells["distinct-1"]?.value.mean == 4.0 / 9)
        #expect(abs((table.rows[1].cells["distinct-1"]?.difference?.value.mean ?? 0) - 1.0 / 9) < 1e-12)
        let again = try JSON.decoder.decode(EvaluationTable.self, from: Data(JSON.line(table).utf8))
        #expect(again.rows[1].cells == table.rows[1].cells)
    }

    @Test func klOfDifferentKindsIsNotCompared() throws {
        let answers = (0..<3).flatMap { prompt in
            ["greedy", "sample"].map { method in
                var line = answer(method, prompt, reward: 0)
                line.kl = Double(prompt)
                line.klKind = method == "greedy" ? .pointMass : .divergence
                return line
            }
        }
        let table = EvaluationTable(try record(#"["greedy", "sample"]"#), answers: answers, gold: [], metrics: [])
        #expect(table.rows[1].cells["kl"]?.value.mean == 1 && table.rows[1].cells["kl"]?.difference == nil)
        #expect(table.rows[0].klKind == .pointMass && table.text.contains("point mass"))
    }

    @Test func missingAnswersAreSaid() throws {
        let answers = [answer("greedy", 0, reward: 0), answer("greedy", 1, reward: 0), answer("args", 0, reward: 1)]
        let table = EvaluationTable(try record(#"["greedy", "args"]"#), answers: answers, gold: [], metrics: [])
        #expect(table.notes.count == 1 && table.notes[0].contains("greedy 2, args 1"))
        #expect(table.rows[1].cells["reward"]?.difference?.value.clusters == 1)
        #expect(
            EvaluationTable(try record(#"["greedy"]"#), answers: [], gold: [], metrics: []).text == "no answers yet")
    }
}
