import Synchronization
import TransferQ

/// What the server has done, as Prometheus reads it.
final class Metrics: Sendable {
    private struct Histogram {
        let bounds: [Double]
        var counts: [Int]
        var sum = 0.0

        init(_ bounds: [Double]) {
            self.bounds = bounds
            counts = Array(repeating: 0, count: bounds.count + 1)
        }

        mutating func add(_ value: Double) {
            counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
            sum += value
        }
    }

    private struct Route: Hashable, Comparable {
        let path: String
        let status: Int

        static func < (one: Route, other: Route) -> Bool { (one.path, one.status) < (other.path, other.status) }
    }

    private struct State {
        var requests: [Route: Int] = [:]
        var answers: [String: Int] = [:]
        var usage = Usage()
        var stepSeconds = Histogram([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
        var firstStepSeconds = Histogram([0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300])
    }

    private let state = Mutex(State())

    /// - Parameter path: the pattern of a route, never what a client has written.
    func request(_ path: String, status: Int) {
        state.withLock { $0.requests[Route(path: path, status: status), default: 0] += 1 }
    }

    func step(_ time: Duration) { state.withLock { $0.stepSeconds.add(time / .seconds(1)) } }

    /// The time from the request to its first step, the wait for a slot included.
    func firstStep(after time: Duration) { state.withLock { $0.firstStepSeconds.add(time / .seconds(1)) } }

    /// What a cancelled answer has cost counts as well; why it ended tells ``cancelled(_:)``.
    func finished(_ summary: GenerationSummary) {
        state.withLock { state in
            if summary.finishReason != .cancelled { state.answers[summary.finishReason.rawValue, default: 0] += 1 }
            state.usage += summary.usage
        }
    }

    func cancelled(_ end: AnswerEnd) {
        let reason =
            switch end {
            case .clientGone: "client-gone"
            case .shutdown: "shutdown"
            case .timeLimit: "time-limit"
            }
        state.withLock { $0.answers[reason, default: 0] += 1 }
    }

    func failed(_ error: any Error) { state.withLock { $0.answers["error", default: 0] += 1 } }

    /// Mean seconds of an answer so far; nil before the first.
    var secondsPerAnswer: Double? {
        state.withLock { state in
            let count = ["stop", "length", "budget"].reduce(0) { $0 + (state.answers[$1] ?? 0) }
            return count > 0 ? state.usage.seconds / Double(count) : nil
        }
    }

    // MARK: Text

    /// Everything in Prometheus's text format.
    ///
    /// - Parameter gauges: what is so right now: name, help, value.
    func text(gauges: [(name: String, help: String, value: Double)]) -> String {
        let state = state.withLock { $0 }
        var lines: [String] = []
        func begin(_ name: String, _ kind: String, _ help: String) {
            lines += ["# HELP transferq_\(name) \(help)", "# TYPE transferq_\(name) \(kind)"]
        }
        func counter(_ name: String, _ help: String, _ value: Double) {
            begin(name, "counter", help)
            lines.append("transferq_\(name) \(Self.number(value))")
        }
        for (name, help, value) in gauges {
            begin(name, "gauge", help)
            lines.append("transferq_\(name) \(Self.number(value))")
        }
        begin("http_requests_total", "counter", "Requests that were answered, by route and status.")
        for (route, count) in state.requests.sorted(by: { $0.key < $1.key }) {
            lines.append("transferq_http_requests_total{route=\"\(route.path)\",status=\"\(route.status)\"} \(count)")
        }
        begin("answers_total", "counter", "Answers that ended, by the reason of their end.")
        for (reason, count) in state.answers.sorted(by: { $0.key < $1.key }) {
            lines.append("transferq_answers_total{reason=\"\(reason)\"} \(count)")
        }
        let usage = state.usage
        counter("prompt_tokens_total", "Tokens of prompts, the baseline's included.", Double(usage.promptTokens))
        counter("answer_tokens_total", "Tokens of answers.", Double(usage.completionTokens))
        counter("rollout_tokens_total", "Tokens that rollouts generated.", Double(usage.rolloutTokens))
        counter("scored_tokens_total", "Tokens of texts that rewards read.", Double(usage.scoredTokens))
        counter("reward_calls_total", "Texts that rewards read.", Double(usage.rewardCalls))
        counter("answer_seconds_total", "Seconds in which answers were made.", usage.seconds)
        begin("step_seconds", "histogram", "Seconds of a step, the first of an answer left out.")
        lines += Self.lines(state.stepSeconds, name: "step_seconds")
        begin(
            "first_step_seconds", "histogram", "Seconds from a request to its first step, the wait for a slot included."
        )
        lines += Self.lines(state.firstStepSeconds, name: "first_step_seconds")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ histogram: Histogram, name: String) -> [String] {
        var (lines, total) = ([String](), 0)
        for (index, count) in histogram.counts.enumerated() {
            total += count
            let bound = index < histogram.bounds.count ? number(histogram.bounds[index]) : "+Inf"
            lines.append("transferq_\(name)_bucket{le=\"\(bound)\"} \(total)")
        }
        return lines + ["transferq_\(name)_sum \(number(histogram.sum))", "transferq_\(name)_count \(total)"]
    }

    /// Whole numbers without a fraction.
    private static func number(_ value: Double) -> String {
        Int(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}
