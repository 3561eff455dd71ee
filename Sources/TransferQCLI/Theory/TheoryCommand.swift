import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQTheory

struct TheoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "theory",
        abstract: "Solve small problems exactly: methods, values, bounds.",
        discussion: """
            An instance is a JSON file: a reference policy as a table, a reward for every complete response, and \
            optionally the baseline's reward and rewards of unfinished texts. `theory random` writes one to look at.

              transferq theory random --vocabulary 3 --length 3 --seed 1 > instance.json
              transferq theory solve instance.json
              transferq theory verify --instances 1000
              transferq theory sweep --instances 50 --plot sweep.svg
              transferq theory gap --instances 200 --plot gap.svg
            """,
        subcommands: [Solve.self, Random.self, Verify.self, Sweep.self, Gap.self])

    static func read(_ path: String) throws -> TabularInstance {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw UsageError("\(path) cannot be read; check the path and its permissions")
        }
        return try TabularInstance(json: data)
    }

    struct Solve: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Every method on one instance, exactly.",
            discussion: """
                The instance is one JSON object; keys of tables are the token ids of the response so far, joined by commas:

                  {"vocabularySize": 2, "maxLength": 2, "endToken": 0,
                   "reference": {"": [0.5, 0.5], "1": [0.5, 0.5]},
                   "reward": {"0": 0, "1,0": 1, "1,1": 0},
                   "baselineReward": {"0": 1, "1,0": 0, "1,1": 0},
                   "prefixReward": {"1": 1}, "alpha": 0.5, "beta": 0.5, "bestOf": 4}

                reference has a row for every unfinished response, reward and baselineReward a value for every complete \
                one (ended by endToken, or of maxLength), prefixReward a value for every unfinished one but the empty. \
                endToken, baselineReward, prefixReward and bestOf may be missing; the methods that need them are then \
                left out.
                """)

        @Argument(help: "The instance, a JSON file.") var file: String
        @Option(help: "text or json.") var format: OutputFormat = .text

        func run() throws {
            let report = SolutionReport(ExactSolver(try read(file)))
            if format == .json { return Console.print(try JSON.pretty(report)) }
            var rows = [["method", "E[reward]", "KL (nats)", "gap to best", "gap to optimal"]]
            for name in ExactSolver.names {
                guard let method = report.methods[name] else { continue }
                let values = [method.expectedReward, method.klToReference, method.gapToBest, method.gapToOptimal]
                rows.append([name] + values.map { $0.fixed(6) })
            }
            Console.print(TextTable.text(rows))
            rows = [["bound", "left", "right"]]
            for name in ExactSolver.names {
                for check in report.bounds[name] ?? [] {
                    rows.append([
                        "\(name): \(check.quantity)", check.left.fixed(6),
                        check.right.fixed(6),
                    ])
                }
            }
            Console.print("\n" + TextTable.text(rows))
        }
    }

    struct Random: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Write a random instance.")

        @Option(parsing: .unconditional, help: "Tokens in the vocabulary.") var vocabulary = 3
        @Option(parsing: .unconditional, help: "Longest response.") var length = 3
        @Option(help: "Seed.") var seed: UInt64 = 0

        func run() throws {
            let instance = try TabularInstance.random(
                vocabularySize: vocabulary, maximumLength: length, seed: seed)
            Console.print(String(decoding: try instance.json(), as: UTF8.self))
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check every inequality and identity of the theory on random instances.")

        @Option(parsing: .unconditional, help: "How many.") var instances = 1000
        @Option(help: "Seed of the first; the others follow.") var seed: UInt64 = 1
        @Option(help: "text or json.") var format: OutputFormat = .text

        func validate() throws { try checkCount(instances) }

        func run() throws {
            var verification = Verification()
            for index in 0..<instances {
                try verification.add(Verification.instance(index, seed: seed), seed: seed &+ UInt64(index))
                if index % 50 == 0 { Console.progress("\(index) of \(instances)") }
            }
            Console.progress("")
            switch format {
            case .json: Console.print(try JSON.pretty(verification))
            case .text: print(verification)
            }
            if verification.violations > 0 { throw ExitCode.failure }
        }

        private func print(_ verification: Verification) {
            var rows = [["inequality", "checked", "violations", "tightest slack", "mean slack"]]
            for inequality in verification.inequalities {
                rows.append([
                    inequality.name, "\(inequality.checked)", "\(inequality.violations.count)",
                    inequality.tightestSlack.significant(3), inequality.meanSlack.significant(3),
                ])
            }
            Console.print(TextTable.text(rows))
            rows = [["identity", "checked", "violations", "largest error"]]
            for identity in verification.identities {
                rows.append([
                    identity.name, "\(identity.checked)", "\(identity.violations.count)",
                    identity.largestError.significant(3),
                ])
            }
            Console.print("\n" + TextTable.text(rows))
            let tightest = verification.inequalities.map(\.tightestSlack).min() ?? 0
            Console.print(
                "\n\(verification.checks) checks on \(verification.instances) instances, tightest slack "
                    + tightest.significant(3) + ", \(verification.violations) violations")
            let named =
                verification.inequalities.map { ($0.name, $0.violations) }
                + verification.identities.map { ($0.name, $0.violations) }
            for (name, seeds) in named {
                for seed in seeds { Console.print("violation: \(name), seed \(seed)") }
            }
        }
    }

    struct Sweep: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reward against KL over alpha, for every method: JSON lines, and a plot.")

        @Argument(help: "An instance (default: the mean over random ones).") var file: String?
        @OptionGroup var series: RandomSeries
        @Option(help: "Write the plot to this SVG file.") var plot: String?

        func run() throws {
            let instances = try file.map { [try read($0)] } ?? series.make()
            let alphas = (0..<13).map { 0.02 * pow(10, Double($0) / 4) }
            let points = try Experiments.sweep(instances, alphas: alphas)
            try draw(points, instances: instances.count)
            for point in points { Console.print(try JSON.line(point)) }
        }

        private func draw(_ points: [ExperimentPoint], instances: Int) throws {
            guard let plot else { return }
            let lines = ExactSolver.names.enumerated().compactMap { style, name -> XYPlot.Series? in
                let values = points.filter { $0.method == name }.map {
                    XYPlot.Point(x: $0.klToReference, y: $0.expectedReward)
                }
                guard let first = values.first else { return nil }
                // A method without α is one point.
                let isFixed = values.allSatisfy { $0.x == first.x && $0.y == first.y }
                return XYPlot.Series(name: name, points: isFixed ? [first] : values, style: style)
            }
            try write(
                XYPlot(
                    id: "sweep", title: "Reward against KL, alpha from 0.02 to 20 (mean of \(instances))",
                    summary: "Each line is a method, each point an alpha; a method without alpha is a single point.",
                    xLabel: "KL to the reference (nats, square roots)", yLabel: "expected reward", xScale: .squareRoot,
                    series: lines),
                to: plot)
        }
    }

    struct Gap: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sub-optimality as the baseline's reward moves away from the target: JSON lines, and a plot.",
            discussion: "r_BL = (1 − d)·r + d·r′ with r′ independent of the target r; d is the setting.")

        @OptionGroup var series: RandomSeries
        @Option(help: "Write the plot to this SVG file.") var plot: String?

        func run() throws {
            let points = try Experiments.gap(series.make(), distances: (0...10).map { Double($0) / 10 })
            try draw(points)
            for point in points { Console.print(try JSON.line(point)) }
        }

        private func draw(_ points: [ExperimentPoint]) throws {
            guard let plot else { return }
            var names: [String] = []
            for point in points where !names.contains(point.method) { names.append(point.method) }
            let lines = names.enumerated().map { style, name in
                XYPlot.Series(
                    name: name,
                    points: points.filter { $0.method == name }.map { XYPlot.Point(x: $0.setting, y: $0.gapToBest) },
                    style: style)
            }
            try write(
                XYPlot(
                    id: "gap", title: "Sub-optimality of indirect transfer (mean of \(series.instances) instances)",
                    summary: "Each line is a method; the lower, the nearer to the best response.",
                    xLabel: "distance d of the baseline's reward from the target (0 to 1)",
                    yLabel: "gap to the best response (reward)", series: lines),
                to: plot)
        }
    }

    /// Random instances for an experiment.
    struct RandomSeries: ParsableArguments {
        @Option(parsing: .unconditional, help: "How many random instances.") var instances = 200
        @Option(help: "Seed of the first.") var seed: UInt64 = 1

        func validate() throws { try checkCount(instances) }

        func make() throws -> [TabularInstance] {
            try (0..<instances).map { try Verification.instance($0, seed: seed) }
        }
    }

    private static func checkCount(_ count: Int) throws {
        if !(1...1_000_000).contains(count) {
            throw ValidationError("--instances must be between 1 and 1000000, not \(count)")
        }
    }

    private static func write(_ plot: XYPlot, to path: String) throws {
        do { try Data(plot.svg(isAlone: true).utf8).write(to: URL(filePath: path), options: .atomic) } catch {
            throw UsageError("the plot \(path) cannot be written; check that its folder is there and has room")
        }
    }
}
