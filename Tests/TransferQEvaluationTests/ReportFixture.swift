import Foundation
import TestSupport
import TransferQ
import TransferQEvaluation

/// A run folder as an evaluation leaves it, made up: greedy, two strengths of cd and five of transfer-q on 12 prompts under
/// 2 seeds. The guiding reward rises as α falls; the gold reward peaks at α = 0.5.
struct ReportFixture {
    let folder = try! TemporaryFolder()  // without a folder for temporary files no test can run
    let run: RunFolder
    let name: String

    static let alphas = [4.0, 2, 1, 0.5, 0.25]
    static let methods =
        ["greedy", "cd[alpha=1]", "cd[alpha=0.5]"]
        + alphas.map { "transfer-q[alpha=\($0 == floor($0) ? "\(Int($0))" : "\($0)"),baseline=kind]" }
    static let prompts = 12
    static let seeds: [UInt64] = [0, 18_446_744_073_709_551_615]
    /// What a page must never take for its own.
    static let hostile =
        #"</script><script>window.hacked = 1</script><!--<script> <img src=x onerror="window.hacked = 2"> &amp; "quoted" ' =1+1"#

    /// - Parameters:
    ///   - name: of the folder.
    ///   - shift: added to every reward.
    ///   - prompts: how many there are.
    ///   - guide: the guiding reward.
    init(
        name: String = "first", shift: Double = 0, prompts: Int = ReportFixture.prompts,
        guide: String = "head:guide.json"
    ) throws {
        self.name = name
        run = RunFolder(folder.file(name).path)
        try FileManager.default.createDirectory(at: run.tracesFolder, withIntermediateDirectories: true)
        let spec = try JSONDecoder().decode(EvaluationSpec.self, from: Data(Self.specification(guide).utf8))
        let settings = try JSONDecoder().decode(
            RunSettings.self,
            from: Data(
                #"{"rewards": {"reward": "\#(guide)"}, "gold held-out": {"head:gold.json": "0123"}, "method greedy": {"k": "10"}}"#
                    .utf8))
        try write(
            [JSON.pretty(RunSpecification(spec, settings: settings, program: "0.2.0"))], to: run.specificationFile)
        var noise = SplitMix(state: 7)
        var judgements: [JudgementLine] = []
        var (answers, gold, metrics): ([String], [String], [String]) = ([], [], [])
        for prompt in 0..<prompts {
            let messages = [Message(role: "user", content: Self.question(prompt))]
            let hash = try AnswerKey.prompt(messages)
            let mood = noise.normal() * 0.4
            var base = ""
            for (index, method) in Self.methods.enumerated() {
                for seed in Self.seeds {
                    let place = AnswerPlace(prompt: prompt, promptHash: hash, method: method, seed: seed)
                    let strength = Self.strength(of: index)
                    let text = Self.text(prompt, index, seed)
                    let key = try AnswerKey.of(place, parameters: ["index": "\(index)"], text: text)
                    var line = AnswerLine(
                        place, messages: messages, response: text, tokens: Array(0..<Token(20 + index)),
                        finish: .length,
                        answer: key)
                    line.reward = 0.4 + mood + 1.4 * strength + 0.25 * noise.normal() + shift
                    line.kl = 2 + 14 * strength + noise.normal().magnitude
                    line.klKind = index == 0 ? .pointMass : .divergence
                    line.klPerToken = (line.kl ?? 0) / Double(line.tokens.count)
                    line.differs = min(1, 0.05 + 0.3 * strength + 0.02 * noise.normal().magnitude)
                    line.referenceLogProbability = -30 - 25 * strength - noise.normal().magnitude
                    line.seconds =
                        index == 0 ? 0.5 + 0.05 * noise.normal().magnitude : 6 + 2 * strength + noise.normal().magnitude
                    line.rolloutTokens = index == 0 ? 0 : 1500 + Int(100 * noise.normal())
                    line.modelCalls = index == 0 ? 48 : 300
                    answers.append(try JSON.line(line))
                    if seed == 0, index == 0 { base = key }
                    if seed == 0, index == 2 { judgements += Self.judgements(key, base, prompt) }
                    let peak = 0.5 + mood + 1.1 * strength - 0.75 * strength * strength + 0.2 * noise.normal() + shift
                    gold.append(try JSON.line(ValueLine(answer: key, name: "held-out", value: peak)))
                    for (name, value) in [
                        ("diversity", 0.9 - 0.1 * strength), ("coherence", 0.6 + 0.05 * noise.normal()),
                    ] {
                        metrics.append(try JSON.line(ValueLine(answer: key, name: name, value: value)))
                    }
                    if index > 0, prompt < 2 { try write(Self.trace(text), to: run.traceFile(key)) }
                }
            }
        }
        try write(judgements.map(JSON.line), to: run.judgementsFile)
        // An answer without a coherence, as an empty one is.
        metrics[1] = metrics[1].replacing(/"value":[-0-9.e]+/, with: "\"value\":null")
        try write(answers, to: run.answersFile)
        try write(gold, to: run.goldFile)
        try write(metrics, to: run.metricsFile)
    }

    func contents() throws -> RunContents { try RunContents(run) }

    private func write(_ lines: [String], to file: URL) throws {
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: file)
    }

    private static func specification(_ guide: String) -> String {
        #"""
        {"prompts": {"file": "eval.jsonl"}, "model": "smollm2-135m-instruct", "baselines": {"kind": {"system": "Be kind."}},
         "reward": ["\#(guide)"], "gold": {"held-out": ["head:gold.json"]}, "parameters": {"k": 10},
         "methods": [\#(methods.map { "\"\($0)\"" }.joined(separator: ", "))],
         "seeds": [0, 18446744073709551615], "metrics": ["repetition", "distinct", "coherence"], "reference": "greedy"}
        """#
    }

    /// A judge likes the first better, but on each fourth prompt whichever stands first.
    private static func judgements(_ a: String, _ b: String, _ prompt: Int) -> [JudgementLine] {
        JudgementLine.Order.allCases.map { order in
            let isBetter = prompt % 4 != 0 || order == .ab
            return JudgementLine(
                a: a, b: b, order: order, scoreA: isBetter ? 8 : 5, scoreB: 6, judge: "judge-1", raw: "8 6")
        }
    }

    /// How strongly a method is guided, 0 to about 2.
    static func strength(of method: Int) -> Double {
        switch method {
        case 0: 0
        case 1, 2: 0.5 * Double(method)
        default: [0.1, 0.25, 0.45, 0.8, 1.7][method - 3]
        }
    }

    private static func question(_ prompt: Int) -> String {
        prompt == 3
            ? "What does \(hostile) mean?"
            : "Question \(prompt + 1): how do I ask my neighbour, politely, to be quieter?"
    }

    private static func text(_ prompt: Int, _ method: Int, _ seed: UInt64) -> String {
        if prompt == 0, method == 4 { return hostile }
        if prompt == 1, method == 0, seed == 0 { return "" }
        let words = [
            "Say it kindly", "wait for a quiet hour", "and bring something small", "İstanbul is far", "then listen.",
        ]
        let count = 1 + (prompt + method) % words.count
        return "Answer \(prompt + 1).\(method): " + words.prefix(count).joined(separator: ", ")
            + "\n\nA second paragraph."
    }

    /// Steps of an answer as ``TraceLine`` writes them.
    private static func trace(_ text: String) -> [String] {
        text.split(separator: " ").enumerated().map { step, word in
            let (token, other) = (json(" \(word)"), json(" however"))
            return """
                {"alpha":null,"candidates":[\
                {"effectiveSampleSize":null,"isChosen":\(step % 3 != 1),"logProbability":-0.4,"probability":0.7,"rewardSpread":null,\
                "rollouts":[{"finishReason":"length","logProbability":-3,"reward":1,"text":" and so on\\n<b>","tokens":[1]}],\
                "score":1,"text":\(token),"tokens":[1],"value":1.25},\
                {"effectiveSampleSize":null,"isChosen":\(step % 3 == 1),"logProbability":\(step == 2 ? "\"-inf\"" : "-1.5"),\
                "probability":0.3,"rewardSpread":null,"rollouts":[],"score":0.5,"text":\(other),"tokens":[2],"value":null}],\
                "cumulativeKL":\(step),"cumulativeKLKind":"divergence","conversation":null,"kl":0.5,"klKind":"divergence",\
                "outsideProbability":null,"prompt":0,"step":\(step),"text":\(step % 3 == 1 ? other : token),"tokens":[1]}
                """
        }
    }

    private static func json(_ text: String) -> String {
        String(decoding: (try? JSONEncoder().encode(text)) ?? Data(), as: UTF8.self)  // a text is always encoded
    }
}

/// Numbers that look random and are the same in every run.
struct SplitMix {
    var state: UInt64

    mutating func uniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return (Double((word ^ (word >> 31)) >> 11) + 0.5) / 9_007_199_254_740_992
    }

    mutating func normal() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }
}
