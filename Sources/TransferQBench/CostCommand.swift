import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// `transferq-bench cost`: how a token's cost grows with k, the horizon, the prompt and the answer.
struct CostCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cost",
        abstract: "Measure what a token of transfer-q costs as k, the horizon, the prompt or the answer grows.",
        discussion: """
            One of them varies, the others stay at --k, --horizon, the bare question and --max-tokens; plain greedy \
            decoding is the yardstick where it depends on them too. Seconds are counted from when the prompts have been \
            read; they are medians over the rounds, and slopes are least squares. seconds(t) = a + b·t + c·t² is fitted \
            to the seconds until each token of the longest answer, where each token takes its median over the rounds.

              transferq-bench cost --reward length:400
            """)

    @OptionGroup var steering: SteeringOptions
    @Option(help: "Values of k (default: 5,10,20,40).", transform: Self.numbers)
    var ks: [Int] = [5, 10, 20, 40]
    @Option(help: "Horizons (default: 5,10,20,40).", transform: Self.numbers)
    var horizons: [Int] = [5, 10, 20, 40]
    @Option(help: "Lengths of the prompt in tokens (default: 50,200,400).", transform: Self.numbers)
    var promptLengths: [Int] = [50, 200, 400]
    @Option(help: "Lengths of the answer in tokens (default: 64,128,256,512).", transform: Self.numbers)
    var answerLengths: [Int] = [64, 128, 256, 512]
    @Option(parsing: .unconditional, help: "Rounds; every setting answers once a round.") var rounds = 3
    @Option(help: "Exact speed-ups to switch off: prune, reuse, look-ahead (split by commas), or all.")
    var without: String?

    func validate() throws {
        if !(1...1000).contains(rounds) { throw ValidationError("--rounds must be between 1 and 1000, not \(rounds)") }
        if let longest = answerLengths.last, longest < 3 {
            throw ValidationError(
                "--answer-lengths must go up to 3 at least, as three terms are fitted, not \(longest)")
        }
    }

    /// Whole numbers of at least 1 in rising order, two or more, split by commas.
    private static func numbers(_ text: String) throws -> [Int] {
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard numbers.count >= 2, numbers[0] >= 1, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw ValidationError("give two or more whole numbers in rising order, for example 5,10,20")
        }
        return numbers
    }

    /// How one method's cost depends on one thing.
    struct Series: Encodable {
        let varied: String
        let method: String
        let values: [Int]
        /// Medians over the rounds.
        let secondsPerToken: [Double]
        /// Seconds per token and unit of `values`.
        let slope: Double?

        init(_ varied: String, method: String, values: [Int], secondsPerToken: [Double]) {
            self.varied = varied
            self.method = method
            self.values = values
            self.secondsPerToken = secondsPerToken
            slope = PolynomialFit(zip(values, secondsPerToken).map { (Double($0), $1) }, degree: 1)?.coefficients[1]
        }
    }

    /// How one method's seconds grow along the longest answer.
    struct Growth: Encodable {
        let method: String
        let tokens: Int
        /// Until each token.
        let seconds: [Double]
        let fit: QuadraticGrowth
    }

    struct Report: Encodable {
        let model: String
        let reward: String
        let without: String?
        let k: Int
        let horizon: Int
        let alpha: Double
        let maxTokens: Int
        let rounds: Int
        /// Of all but the lengths of the answer.
        let question: String
        /// Of the lengths of the answer.
        let longQuestion: String
        var series: [Series] = []
        var growth: [Growth] = []
    }

    func run() async throws {
        func steered(_ more: [String: ParameterValue] = [:]) throws -> MethodSpec {
            try steering.method((without.map { ["without": .text($0)] } ?? [:]).merging(more) { $1 })
        }
        // What can be wrong is found before anything is measured.
        let byK = try ks.map { try steered(["k": .integer($0)]) }
        let byHorizon = try horizons.map { try steered(["horizon": .integer($0)]) }
        let methods = [try MethodSpec(GreedyDecoding.name), try steered()]
        let path = try await ModelFiles.path(steering.models.model)
        let model = try await ModelFiles.load(path)
        for method in byK {
            try method.configured().method.validate(vocabularySize: model.tokenizer.size, hasReward: true)
        }
        let question = CostMeasurement.questions[0]
        var prompts: [PaddedPrompt] = []
        for length in promptLengths { prompts.append(try await PaddedPrompt(question, tokens: length, model: model)) }
        let measurement = CostMeasurement(
            prompts: try SteeredPrompts(steering), rounds: rounds, maximumLength: steering.maxTokens)

        let longest = answerLengths[answerLengths.count - 1]
        let long = try await measurement.longAnswers(of: methods, length: longest)
        var report = Report(
            model: path, reward: steering.reward, without: without, k: steering.k, horizon: steering.horizon,
            alpha: steering.alpha, maxTokens: steering.maxTokens, rounds: rounds, question: question,
            longQuestion: long.question)
        let bare = [Message(role: "user", content: question)]
        func add(_ varied: String, _ values: [Int], _ settings: [(MethodSpec, [Message])]) async throws {
            report.series.append(
                Series(
                    varied, method: settings[0].0.name, values: values,
                    secondsPerToken: try await measurement.secondsPerToken(settings, varied: varied)))
        }
        try await add("k", ks, byK.map { ($0, bare) })
        try await add("horizon", horizons, byHorizon.map { ($0, bare) })
        for method in methods.reversed() {
            try await add("prompt tokens", prompts.map(\.tokens), prompts.map { (method, $0.conversation) })
        }
        for (method, seconds) in zip(methods, long.seconds).reversed() {
            report.series.append(
                Series(
                    "answer tokens", method: method.name, values: answerLengths,
                    secondsPerToken: answerLengths.map { seconds[$0 - 1] / Double($0) }))
            guard let fit = QuadraticGrowth(seconds: seconds) else { continue }
            report.growth.append(Growth(method: method.name, tokens: seconds.count, seconds: seconds, fit: fit))
        }
        Console.print(steering.format == .json ? try JSON.pretty(report) : text(report))
    }

    private func text(_ report: Report) -> String {
        let rows = report.series.map { series in
            let points = zip(series.values, series.secondsPerToken)
            return [
                series.varied, series.method, (series.slope ?? .nan).significant(3),
                points.map { "\($1.fixed(4)) at \($0)" }.joined(separator: ", "),
            ]
        }
        let head = ["varied", "method", "slope (s/token per unit)", "s/token"]
        let growth = report.growth.map { growth in
            let fit = growth.fit
            return
                "\(growth.method): seconds(t) = \(fit.constant.significant(3)) \(fit.linear.significant(3, signed: true)) t "
                + "\(fit.quadratic.significant(3, signed: true)) t²; the last term is "
                + "\((100 * fit.quadraticShare).fixed(1)) % of the seconds of \(growth.tokens) tokens"
        }
        return ([TextTable.text([head] + rows)] + growth).joined(separator: "\n")
    }
}
