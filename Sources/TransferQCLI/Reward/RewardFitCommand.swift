import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRewards

struct RewardFitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fit",
        abstract: "Fit a linear reward on a model's hidden states to preferences or labels.",
        discussion: """
            DATA holds JSON lines or a JSON list (gzipped or not): {"prompt": …, "chosen": …, "rejected": …} with texts, \
            lists of messages or hh-rlhf's dialogues, {"prompt": …, "completion": …, "label": 0 or 1}, and other forms \
            that are usual. A key that looks like a prompt and is not known stops the run. The model reads every answer once; its states are \
            kept in the cache, so that fitting again takes seconds.

              transferq reward fit pairs.jsonl --output kind.json
              transferq reward fit train.jsonl.gz --held-out eval.jsonl.gz --squash 3 --plot kind.svg -o kind.json
              transferq generate "How do I make tea?" --reward head:kind.json
            """)

    @Argument(help: "Preference pairs or labelled texts, JSON lines.")
    var data: String

    @Option(name: .shortAndLong, help: "The head file to write.")
    var output: String

    @Option(help: "Data of the same kind to measure on (default: a part of the data that is not fitted on).")
    var heldOut: String?

    @Option(
        help:
            "The model whose states the head reads: a known name or a GGUF file (default: the demonstration model in f32, whose states do not depend on batches)."
    )
    var model: String?

    @Option(help: "chat: the model's own template; dialogue: plain text, for models without one.")
    var template: LinearHead.Template = .chat

    @Option(help: "States of an answer: its last token's, the mean, or both.")
    var pooling: LinearHead.Pooling = .both

    @Option(help: "Strength of the L2 penalty (default: chosen by 5-fold cross-validation).")
    var regularization: Double?

    @Option(help: "Limit rewards to this many spreads around the mean of the answers fitted on.")
    var squash: Double?

    @Option(
        help: """
            What the reward wants, as a system prompt: where no baseline is given, the model under this prompt is the \
            baseline of transfer-q.
            """)
    var instruction: String?

    @Option(help: "Write a calibration plot of the held-out data to this SVG file.")
    var plot: String?

    @Option(help: "Seed of the folds and of the part held out.")
    var seed: UInt64 = 0

    @OptionGroup var records: RecordFileOptions

    @Option(help: "Threads (default: one for each processor).")
    var threads: Int?

    func validate() throws {
        try validateThreads(threads)
        if pooling == .end { throw ValidationError("--pooling must be last, mean or both; end is for converted heads") }
        if let regularization, !(regularization.isFinite && regularization > 0) {
            throw ValidationError("--regularization must be a finite number above 0, not \(regularization)")
        }
        if let squash, !(squash.isFinite && squash > 0) {
            throw ValidationError("--squash must be a finite number above 0, not \(squash)")
        }
    }

    func run() async throws {
        let (training, hash) = try records.read(data)
        let measured = try heldOut.map { try records.read($0).data }
        let (head, report, margins) = try await Interruption.cancellable {
            try await fit(training, hash: hash, heldOut: measured)
        }
        try head.write(to: output)
        if let plot {
            let svg = ReliabilityPlot(margins: margins).svg()
            do { try svg.write(toFile: plot, atomically: true, encoding: .utf8) } catch {
                throw RewardError.cannotWrite(path: plot, reason: error.localizedDescription)
            }
        }
        Console.print(report)
    }

    private func fit(
        _ training: RewardData, hash: String, heldOut: RewardData?
    ) async throws -> (head: LinearHead, report: String, margins: [Double]) {
        let name = model ?? "\(KnownModel.demonstration.name)@f32"
        let loaded = try await ModelFiles.load(try await ModelFiles.path(name))
        let backbone = try await ModelFiles.store.backbone(of: loaded)
        let reader = TextReader(model: loaded, template: template, threads: threads)
        let clock = ContinuousClock()
        let start = clock.now
        let features = try await FitFeatures(training, path: data, backbone: backbone, reader: reader)
        let fitted: FitFeatures
        let held: FitFeatures
        if let heldOut {
            held = try await FitFeatures(heldOut, path: self.heldOut ?? "", backbone: backbone, reader: reader)
            fitted = try features.without(held)
            if fitted.count < features.count {
                let both = features.count - fitted.count
                Console.say(
                    "\(both) of \(features.count) have prompts that are held out as well, and are not fitted on")
            }
        } else {
            (fitted, held) = try features.split(seed: seed)
        }
        let readSeconds = (clock.now - start) / .seconds(1)
        let fitData = fitted.data(pooling)
        let heldData = held.data(pooling)
        let fit = await HeadFit(
            fitData, regularizations: regularization.map { [$0] } ?? HeadFit.regularizations, seed: seed
        ) { regularization, loss in
            Console.say("λ \(regularization.significant()): cross-validated loss \(loss.fixed(4)) nats")
        }
        let margins = fit.margins(heldData)
        var head = LinearHead(
            backbone: backbone, template: template, pooling: pooling, weights: fit.weights, bias: fit.bias)
        head.calibration = try RewardCalibration(of: fit.rewards(fitData))
        head.squash = squash
        head.instruction = instruction
        head.layout = try await reader.layoutFingerprint()
        head.training = LinearHead.Training(
            data: URL(filePath: data).lastPathComponent, sha256: hash, count: fitData.count,
            regularization: fit.regularization, withoutPrompt: fitted.withoutPrompt > 0 ? fitted.withoutPrompt : nil)
        let accuracy = HeadFit.accuracy(margins)
        head.heldOut = accuracy
        if accuracy.count >= 10, accuracy.accuracy == 1 {
            Console.say(
                "all \(accuracy.count) held out are judged right, which is rare: check that good and bad answers do not differ "
                    + "by something that has nothing to do with what people prefer")
        }
        let seconds = (clock.now - start) / .seconds(1)
        let report = """
            \(output): \(fitData.count) fitted on, \(pooling.rawValue) states of \(backbone.model)\
            \(backbone.type.map { " in \($0)" } ?? ""), λ \(fit.regularization.significant())
            accuracy on \(accuracy.count) held out\(held.hasNoPrompts ? ", answers without their prompts" : ""): \(accuracy.accuracy.fixed(3)) \
            (95 %: \(accuracy.low.fixed(3)) to \(accuracy.high.fixed(3))), on the fitted \
            \(HeadFit.accuracy(fit.margins(fitData)).accuracy.fixed(3))
            \(readSeconds.fixed(1)) s to read (\(await reader.decodedTokens) tokens), \
            \((seconds - readSeconds).fixed(1)) s to fit
            """
        return (head, report + fitted.promptNote, margins)
    }
}

/// Answers, what is known of them, and their states.
private struct FitFeatures {
    let answers: [Completion]
    let states: [PooledState]
    let kind: FitData.Kind

    var count: Int {
        switch kind {
        case .pairs: answers.count / 2
        case .labelled: answers.count
        }
    }

    /// Answers that nobody asked for: the reward learns nothing from them about whether an answer fits its prompt.
    var withoutPrompt: Int { answers.count { !$0.hasPrompt } }

    var hasNoPrompts: Bool { withoutPrompt == answers.count }

    /// A line for the report; empty where all answers have their prompts.
    var promptNote: String {
        let missing = withoutPrompt
        guard missing > 0 else { return "" }
        return hasNoPrompts
            ? "\nno prompts: the reward was fitted and measured on answers by themselves, and knows nothing of what they answer"
            : "\n\(missing) of \(answers.count) answers fitted on have no prompt"
    }

    init(_ data: RewardData, path: String, backbone: LinearHead.Backbone, reader: TextReader) async throws {
        let completions: [Completion]
        switch data {
        case .pairs(let pairs):
            (completions, kind) = (pairs.flatMap { [$0.chosen, $0.rejected] }, .pairs)
        case .labelled(let texts):
            (completions, kind) = (texts.map(\.completion), .labelled(texts.map(\.label)))
            guard Set(texts.map(\.label)).count == 2 else {
                throw RewardError.tooLittleData(path: path, reason: "all labels are alike; give texts of both kinds")
            }
        case .completions:
            throw RewardError.tooLittleData(
                path: path, reason: "there is nothing to fit; give chosen and rejected, or text and label")
        }
        answers = completions
        guard answers.count >= 20 else {
            throw RewardError.tooLittleData(
                path: path, reason: "\(answers.count) answers are too few to fit and measure on; give at least 20")
        }
        let progress = ProgressLine("answers of \(path) read", of: completions.count)
        states = try await FeatureStore(store: ModelFiles.store).states(
            of: completions, backbone: backbone, reader: reader, progress: progress.update)
    }

    private init(answers: [Completion], states: [PooledState], kind: FitData.Kind) {
        self.answers = answers
        self.states = states
        self.kind = kind
    }

    func data(_ pooling: LinearHead.Pooling) -> FitData {
        FitData(states: states, answers: answers, kind: kind, pooling: pooling)
    }

    /// The answers of each pair, or each text.
    private var items: [[Completion]] {
        kind.isPairs ? (0..<count).map { [answers[2 * $0], answers[2 * $0 + 1]] } : answers.map { [$0] }
    }

    /// All whose prompts do not occur in `others`.
    func without(_ others: FitFeatures) throws -> FitFeatures {
        let theirs = Set(others.answers.map { PromptGroups.key(of: $0) })
        let kept = items.enumerated().filter { item in
            !item.element.contains { theirs.contains(PromptGroups.key(of: $0)) }
        }
        .map(\.offset)
        guard kept.count >= 10 else {
            throw RewardError.tooLittleData(
                path: "the data", reason: "nearly all of it is held out, by its prompts; give data with other prompts")
        }
        return subset(kept)
    }

    /// A sixth to measure on, and the rest; no prompt is in both.
    func split(seed: UInt64) throws -> (training: FitFeatures, heldOut: FitFeatures) {
        let folds = PromptGroups(items).folds(6, seed: seed)
        // A prompt with very many answers makes a part larger than a sixth.
        let held = folds.indices.min { abs(6 * folds[$0].count - count) < abs(6 * folds[$1].count - count) } ?? 0
        let fitted = folds.indices.filter { $0 != held }.flatMap { folds[$0] }
        return (subset(fitted.sorted()), subset(folds[held].sorted()))
    }

    private func subset(_ items: [Int]) -> FitFeatures {
        switch kind {
        case .pairs:
            let places = items.flatMap { [2 * $0, 2 * $0 + 1] }
            return FitFeatures(answers: places.map { answers[$0] }, states: places.map { states[$0] }, kind: .pairs)
        case .labelled(let labels):
            return FitFeatures(
                answers: items.map { answers[$0] }, states: items.map { states[$0] },
                kind: .labelled(items.map { labels[$0] }))
        }
    }
}

/// How often people agree, against how sure the reward is.
struct ReliabilityPlot {
    /// Log-odds of the right answer.
    let margins: [Double]

    /// Mean probability and share right, in bins of equal size.
    var points: [(x: Double, y: Double)] {
        let sorted = margins.sorted { abs($0) < abs($1) }
        let bins = max(1, min(10, sorted.count / 10))
        return (0..<bins).map { bin in
            let part = sorted[(bin * sorted.count / bins)..<((bin + 1) * sorted.count / bins)]
            let sure = part.reduce(0) { $0 + 1 / (1 + exp(-abs($1))) } / Double(part.count)
            return (sure, HeadFit.accuracy(Array(part)).accuracy)
        }
    }

    func svg() -> String {
        XYPlot(
            id: "calibration", title: "Calibration on \(margins.count) held out",
            summary: "The nearer the reward's points are to the straight line, the better its probabilities are.",
            xLabel: "probability that the reward gives its choice", yLabel: "share of them that people agree with",
            series: [
                .init(name: "perfect", points: [.init(x: 0.5, y: 0.5), .init(x: 1, y: 1)], style: 1),
                .init(name: "this reward", points: points.map { .init(x: $0.x, y: $0.y) }, style: 0),
            ]
        ).svg(isAlone: true)
    }
}
