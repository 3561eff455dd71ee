import Foundation

/// The steps of answers as a page shows them, within a limit of bytes.
struct ReportTraces: Sendable {
    struct Step: Encodable, Sendable {
        let text: String
        let kl: Double?
        let cumulativeKL: Double?
        let candidates: [Candidate]
    }

    struct Candidate: Encodable, Sendable {
        let text: String
        /// Nil for log 0.
        let logProbability: Double?
        let value: Double?
        let probability: Double?
        let isChosen: Bool
        /// The text of its first rollout.
        let rollout: String?
    }

    /// By the answer's key.
    private(set) var steps: [String: [Step]] = [:]
    /// Answers whose traces there are, and those that the limit left out.
    private(set) var found = 0
    var leftOut: Int { found - steps.count }

    /// Reads the traces of a run in the order of its answers.
    ///
    /// - Parameter limit: bytes that they may take in the page; 0 takes none.
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` with the line that is no step.
    init(_ run: RunContents, limit: Int) throws {
        guard let folder = run.folder else { return }
        var bytes = 0
        for answer in run.answers {
            let file = folder.traceFile(answer.answer)
            guard FileManager.default.fileExists(atPath: file.path) else { continue }
            found += 1
            guard bytes < limit else { continue }
            let lines: [Line] = try folder.lines(of: file)
            let steps = lines.map(\.shown)
            bytes += try JSON.line(steps).utf8.count
            guard bytes <= limit else { continue }
            self.steps[answer.answer] = steps
        }
    }

    /// The part of a ``TraceLine`` that is shown.
    private struct Line: Decodable {
        struct Rollout: Decodable { let text: String }

        struct Candidate: Decodable {
            let text: String
            let logProbability: Double
            let value: Double?
            let probability: Double
            let isChosen: Bool
            let rollouts: [Rollout]
        }

        let text: String
        let candidates: [Candidate]
        let kl: Double?
        let cumulativeKL: Double?

        var shown: Step {
            func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
            return Step(
                text: text, kl: finite(kl), cumulativeKL: finite(cumulativeKL),
                candidates: candidates.map {
                    ReportTraces.Candidate(
                        text: $0.text, logProbability: finite($0.logProbability), value: finite($0.value),
                        probability: finite($0.probability), isChosen: $0.isChosen, rollout: $0.rollouts.first?.text)
                })
        }
    }
}
