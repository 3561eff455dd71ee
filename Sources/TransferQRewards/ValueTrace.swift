import Foundation
public import TransferQ

/// The values that a trace of `transferq generate --trace` recorded, state by state.
public struct ValueTrace: Sendable {
    /// A state with the values of its candidates.
    public struct State: Sendable {
        public let prompt: Int
        public let conversation: [Message]
        /// The response before the candidates.
        public let response: [Token]
        public let candidates: [Token]
        /// Q of each.
        public let values: [Double]
        /// log π_tilt + Q/α of each up to a constant, without the noise of a draw; empty where a trace does not tell.
        public let scores: [Double]
        /// Place of the candidate that was chosen; nil where it has no value.
        public let chosen: Int?
        /// Whether every candidate of the step whose rollouts are possible is here.
        public let isWhole: Bool
    }

    public let states: [State]

    private struct Line: Decodable {
        struct Candidate: Decodable {
            let tokens: [Token]
            let value: Double?
            let score: Double?
        }

        let prompt: Int
        let conversation: [Message]?
        let step: Int
        let tokens: [Token]
        let candidates: [Candidate]
    }

    /// Reads a trace. Of a prompt that was answered twice, by a run that was cut and went on, the second answer counts; a
    /// last line that was cut is left out.
    ///
    /// - Throws: ``RewardError/badData(path:line:reason:)`` or ``RewardError/tooLittleData(path:reason:)``.
    public init(_ path: String) throws {
        let reader = try RecordReader(path, linesOnly: true)
        var states: [Int: [State]] = [:]
        var known: [Int: (conversation: [Message], response: [Token])] = [:]
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        while let raw = try reader.next(), raw.isTerminated {
            let line: Line
            do {
                if let fault = raw.fault { throw RecordFault(fault) }
                line = try decoder.decode(Line.self, from: raw.bytes)
            } catch let fault as RecordFault {
                throw RewardError.badData(path: path, line: raw.line, reason: fault.reason)
            } catch {
                throw RewardError.badData(
                    path: path, line: raw.line, reason: "this is no line of a trace; make one with generate --trace")
            }
            if line.step == 0, let conversation = line.conversation {
                known[line.prompt] = (conversation, [])
                states[line.prompt] = []
            }
            guard let (conversation, response) = known[line.prompt] else {
                throw RewardError.badData(
                    path: path, line: raw.line,
                    reason: "it goes on with prompt \(line.prompt), whose first step is missing; trace it again")
            }
            guard line.candidates.allSatisfy({ ($0.value ?? 0) < .infinity && !($0.score?.isNaN ?? false) }) else {
                throw RewardError.badData(
                    path: path, line: raw.line, reason: "a value or score is no number; trace it again")
            }
            // The value of a candidate whose rollouts are impossible is −∞, which tells nothing of the others.
            let possible = line.candidates.filter { $0.value != -.infinity }
            let valued = possible.filter { $0.tokens.count == 1 && $0.value != nil }
            states[line.prompt]?.append(
                State(
                    prompt: line.prompt, conversation: conversation, response: response,
                    candidates: valued.map { $0.tokens[0] }, values: valued.compactMap(\.value),
                    scores: valued.compactMap(\.score), chosen: valued.firstIndex { $0.tokens == line.tokens },
                    isWhole: valued.count == possible.count))
            known[line.prompt] = (conversation, response + line.tokens)
        }
        self.states = states.sorted { $0.key < $1.key }.flatMap(\.value).filter { $0.values.count > 1 }
        guard !self.states.isEmpty else {
            throw RewardError.tooLittleData(
                path: path, reason: "no state has two candidates with values; trace transfer-q with --without prune")
        }
    }
}
