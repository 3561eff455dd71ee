public import Foundation
import TransferQ
import TransferQLlama
public import TransferQRuntime

/// Works out what is missing of a run's gold rewards and metrics, without making an answer again.
public struct EvaluationScoring: Sendable {
    public let folder: RunFolder
    private let makeRuntime: @Sendable (ModelSpec?, BaselineSpec?) -> Runtime
    private let encoder: URL?

    /// - Parameters:
    ///   - makeRuntime: as of ``EvaluationRun``.
    ///   - encoder: the file of `coherence` without one of its own; nil where there is none.
    public init(
        _ folder: RunFolder, encoder: URL? = nil,
        makeRuntime: @escaping @Sendable (ModelSpec?, BaselineSpec?) -> Runtime
    ) {
        self.folder = folder
        self.encoder = encoder
        self.makeRuntime = makeRuntime
    }

    /// Looks for what metrics read and makes gold rewards, so that what is missing or mistyped is known before answers are made.
    public func check(_ specification: EvaluationSpec) async throws {
        let catalogue = try await makeRuntime(specification.model, nil).catalogue()
        for (name, reward) in specification.gold.sorted(by: { $0.key < $1.key }) {
            do { _ = try await catalogue.parse(reward.terms) } catch let error as TransferQError {
                throw EvaluationError.invalidSpecification("gold \(name): \(error)")
            }
        }
        for metric in specification.metrics {
            switch metric {
            case .repetition, .distinct: continue
            case .coherence(let path): _ = try TextMeasure.encoder(path, standard: encoder)
            case .perplexity(let model): _ = try await makeRuntime(nil, nil).rewardLoader.library.path(model)
            }
        }
    }

    /// - Parameter specification: with gold rewards and metrics to add to those of the run; nil for the run's own.
    /// - Returns: values that were worked out; 0 when nothing was missing.
    /// - Throws: ``EvaluationError``; what is wrong with a reward, a model or an encoder; `CancellationError`.
    public func run(
        _ specification: EvaluationSpec? = nil, onEvent: @escaping @Sendable (EvaluationEvent) -> Void
    ) async throws -> Int {
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        var record = try folder.specification()
        if let specification {
            record.specification.gold.merge(specification.gold) { $1 }
            record.specification.metrics += specification.metrics.filter { !record.specification.metrics.contains($0) }
            record.specification.judge = specification.judge ?? record.specification.judge
        }
        let answers = try folder.answers()
        var count = 0
        for (name, reward) in record.specification.gold.sorted(by: { $0.key < $1.key }) {
            count += try await gold(name, reward, of: answers, in: &record, onEvent)
        }
        for metric in record.specification.metrics {
            count += try await measure(metric, answers, in: &record, onEvent)
        }
        return count
    }

    // MARK: Gold rewards

    private func gold(
        _ name: String, _ spec: RewardSpec, of answers: [AnswerLine], in record: inout RunSpecification,
        _ onEvent: (EvaluationEvent) -> Void
    ) async throws -> Int {
        var file = try values(in: folder.goldFile, what: "gold rewards")
        let known = Set(file.records.filter { $0.name == name }.map(\.answer))
        let missing = answers.filter { !known.contains($0.answer) }
        guard !missing.isEmpty else { return 0 }
        let reward = try await makeRuntime(record.specification.model, nil).catalogue().parse(spec.terms)
        var group: [String: String] = [:]
        for (index, term) in spec.terms.enumerated() { group["reward \(index + 1)"] = RunSettings.short(term) }
        for path in reward.files {
            group["the file \(URL(filePath: path).lastPathComponent)"] = try await GGUFFile.digest(of: path)
        }
        try note(RunSettings.gold(name), group, hasValues: !known.isEmpty, in: &record)
        onEvent(.began("answers scored by \(name)", known: known.count, total: known.count + missing.count))
        for start in stride(from: 0, to: missing.count, by: Self.batch) {
            let part = missing[start..<min(start + Self.batch, missing.count)]
            let rewards = try await reward.checkedRewards(for: part.map(\.completion))
            for (line, value) in zip(part, rewards) {
                try append(ValueLine(answer: line.answer, name: name, value: value), to: &file)
            }
            onEvent(.advanced(part.count))
        }
        return missing.count
    }

    // MARK: Metrics

    private func measure(
        _ metric: MetricSpec, _ answers: [AnswerLine], in record: inout RunSpecification,
        _ onEvent: (EvaluationEvent) -> Void
    ) async throws -> Int {
        var file = try values(in: folder.metricsFile, what: "metrics")
        let known = Set(file.records.filter { metric.names.contains($0.name) }.map { [$0.answer, $0.name] })
        let missing = answers.filter { line in metric.names.contains { !known.contains([line.answer, $0]) } }
        guard !missing.isEmpty else { return 0 }
        let measure = try await TextMeasure(metric, encoder: encoder, loader: makeRuntime(nil, nil).rewardLoader)
        if let path = measure.file {
            let group = ["the file \(path.lastPathComponent)": try await GGUFFile.digest(of: path.path)]
            try note("metric \(metric.text)", group, hasValues: !known.isEmpty, in: &record)
        }
        let total = answers.count
        onEvent(.began("answers measured (\(metric.text))", known: total - missing.count, total: total))
        for start in stride(from: 0, to: missing.count, by: Self.batch) {
            let part = Array(missing[start..<min(start + Self.batch, missing.count)])
            for (line, values) in zip(part, try await measure.values(of: part)) {
                for (name, value) in zip(metric.names, values) where !known.contains([line.answer, name]) {
                    try append(ValueLine(answer: line.answer, name: name, value: value), to: &file)
                }
            }
            onEvent(.advanced(part.count))
        }
        return missing.count
    }

    // MARK: Files

    private static let batch = 16

    private func values(in url: URL, what: String) throws -> LineFile<ValueLine> {
        try LineFile(path: url.path, what: "\(what) of a run", beginning: "{\"answer\":") { _ in [] }
    }

    private func append(_ line: ValueLine, to file: inout LineFile<ValueLine>) throws {
        try file.append(line, line: line)
    }

    /// Notes what values depend on, or refuses to add to values of something else.
    private func note(
        _ name: String, _ group: [String: String], hasValues: Bool, in record: inout RunSpecification
    ) throws {
        if hasValues, let earlier = record.settings.groups[name], earlier != group {
            var (now, before) = (RunSettings(), RunSettings())
            (now.groups[name], before.groups[name]) = (group, earlier)
            throw EvaluationError.unusableOutput(
                "\(folder.url.path) holds values of another \(name): "
                    + now.differences(from: before).joined(separator: "; ")
                    + ". Give it another name in the configuration")
        }
        record.settings.groups[name] = group
        try folder.write(record)
    }
}
