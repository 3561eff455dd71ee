import Foundation
import TransferQLlama

/// `specification.json` of a run folder: everything that its answers depend on.
public struct RunSpecification: Codable, Hashable, Sendable {
    /// Of the folder's files.
    public var format: Int
    /// The version of this program.
    public var program: String
    /// llama.cpp's own version.
    public var llama: String
    public var machine: Machine
    /// When the folder was made, in ISO 8601.
    public var created: String
    /// What was asked for, the methods of all runs in this folder together.
    public var specification: EvaluationSpec
    /// Every value that answers depend on, and hashes of the content of every file, in groups: `models`, `rewards`,
    /// `files`, `answer`, `baseline NAME`, `method LABEL` (every parameter), `gold NAME`.
    public var settings: RunSettings
    /// The part of the evaluation that the folder holds; nil for all of it.
    public var shard: Shard?

    public static let currentFormat = 1

    /// What it ran on.
    public struct Machine: Codable, Hashable, Sendable {
        public let system: String
        public let processor: String
        /// Processors that this process may use.
        public let processors: Int
        /// Bytes.
        public let memory: UInt64

        public static var current: Machine {
            let info = ProcessInfo.processInfo
            var processor = "unknown"
            // Only Linux has the file; the name is a remark.
            if let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
                let line = text.split(separator: "\n").first(where: { $0.hasPrefix("model name") }),
                let name = line.split(separator: ":", maxSplits: 1).last
            {
                processor = name.trimmingCharacters(in: .whitespaces)
            }
            return Machine(
                system: info.operatingSystemVersionString, processor: processor,
                processors: info.activeProcessorCount, memory: info.physicalMemory)
        }
    }

    public init(_ specification: EvaluationSpec, settings: RunSettings, program: String, shard: Shard? = nil) {
        format = Self.currentFormat
        self.program = program
        llama = LlamaLibrary.version
        machine = .current
        created = Date.now.formatted(.iso8601)
        self.specification = specification
        self.settings = settings
        self.shard = shard
    }
}

/// One of several parts of an evaluation, which together answer every prompt once.
///
/// JSON: a text, `2/8` for the second of eight.
public struct Shard: Codable, Hashable, Sendable, CustomStringConvertible {
    /// 1 to `count`.
    public let number: Int
    public let count: Int

    /// - Throws: ``EvaluationError/invalidSpecification(_:)``.
    public init(parsing text: String) throws {
        guard let match = text.wholeMatch(of: /(\d+)\/(\d+)/), let number = Int(match.1), let count = Int(match.2),
            count >= 1, (1...count).contains(number)
        else {
            throw EvaluationError.invalidSpecification("a shard is NUMBER/COUNT, from 1/8 to 8/8, not \"\(text)\"")
        }
        (self.number, self.count) = (number, count)
    }

    public var description: String { "\(number)/\(count)" }

    /// Whether the prompt is one of this part's.
    public func contains(prompt: Int) -> Bool { prompt % count == number - 1 }

    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
