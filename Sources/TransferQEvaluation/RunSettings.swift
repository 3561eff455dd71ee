import Foundation
public import TransferQ
import TransferQLlama
public import TransferQRuntime

/// What an answer depends on besides its prompt: values, and hashes of the content of every file that was read.
///
/// It stands in every line of answers that are kept, so that a run goes on with answers of its own only, and otherwise
/// says what differs.
public struct RunSettings: Codable, Hashable, Sendable {
    /// Values by their names, in groups: `models`, `rewards`, `files`, `answer`, and `method NAME`.
    public internal(set) var groups: [String: [String: String]] = [:]

    public init() {}

    /// What all methods have in common. Reads every file to its end, gigabytes of models included.
    ///
    /// - Throws: ``LlamaError``, ``StoreError``, or `CancellationError`.
    public init(_ request: AnswerRequest, _ runtime: Runtime, _ rewards: LoadedRewards) async throws {
        var group = try await runtime.engine.settings(runtime.model, baseline: runtime.baseline)
        group["system prompt of the baseline"] = runtime.baseline?.system.map(Self.short)
        groups["models"] = group

        let scoring = request.scoring
        group = ["value": scoring.valueHead.map { "head:\($0)" }].compactMapValues { $0 }
        for (name, reward) in [("reward", scoring.reward), ("baseline reward", scoring.baselineReward)] {
            for (index, text) in (reward?.terms ?? []).enumerated() {
                group[index == 0 ? name : "\(name) \(index + 1)"] = Self.short(text)
            }
        }
        groups["rewards"] = group.isEmpty ? nil : group

        group = [:]
        for path in rewards.files {
            let (name, hash) = (URL(filePath: path).lastPathComponent, try await GGUFFile.digest(of: path))
            // Files of the same name in several folders.
            var (place, key) = (1, name)
            while let other = group[key], other != hash { (place, key) = (place + 1, "\(name) \(place + 1)") }
            group[key] = hash
        }
        groups["files"] = group.isEmpty ? nil : group

        group = ["longest answer": "\(request.limits.maximumTokens)", "seed": "\(request.seed)"]
        let stop = request.limits.stop
        group["stop"] = stop.isEmpty ? nil : stop.map { String(reflecting: $0) }.joined(separator: ", ")
        group["time budget"] = request.limits.budget.seconds.map { "\($0)" }
        group["token budget"] = request.limits.budget.tokens.map { "\($0)" }
        groups["answer"] = group
    }

    /// The settings of the answers of one method.
    public func with(_ method: ConfiguredMethod) -> RunSettings {
        var settings = self
        settings.groups["method \(method.name)"] = Dictionary(
            uniqueKeysWithValues: method.parameters.compactMap { parameter in
                parameter.value.map { (parameter.name, Self.short("\($0)")) }
            })
        return settings
    }

    /// What the answers of one file have in common: it may hold those of several methods and seeds.
    public var common: RunSettings {
        var settings = self
        settings.groups = groups.filter { !$0.key.hasPrefix("method ") }
        settings.groups["answer"]?["seed"] = nil
        return settings
    }

    /// Nil where nothing is kept, so that nothing is known.
    public var seed: String? { groups["answer"]?["seed"] }

    /// The settings of the same answer under any seed.
    public var withoutSeed: RunSettings {
        var settings = self
        settings.groups["answer"]?["seed"] = nil
        return settings
    }

    /// Long values by their beginning and a hash.
    static func short(_ text: String) -> String {
        guard text.count > 80 else { return text }
        // Strings are always encoded.
        return "\(text.prefix(48))… \((try? Fingerprint.of(text)) ?? "")"
    }

    /// What differs from `earlier` settings, as parts of a sentence; empty when nothing does.
    public func differences(from earlier: RunSettings) -> [String] {
        if earlier.groups.isEmpty, !groups.isEmpty { return ["they were made by an earlier version of this program"] }
        return Set(groups.keys).union(earlier.groups.keys).sorted().flatMap { group in
            let (now, before) = (groups[group] ?? [:], earlier.groups[group] ?? [:])
            return Set(now.keys).union(before.keys).sorted().filter { now[$0] != before[$0] }.map { name in
                let what =
                    group == "files" ? "the file \(name)" : group.hasPrefix("method ") ? "\(group), \(name)" : name
                switch (before[name], now[name]) {
                case (nil, let value): return "\(what) was not there and is \(value ?? "")"
                case (let value, nil): return "\(what) was \(value ?? "") and is not there any more"
                case (let before, let now): return "\(what) was \(before ?? "") and is \(now ?? "")"
                }
            }
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // Up to version 0.1 the settings were one hash.
        if (try? container.decode(String.self)) != nil { return }  // anything else is decoded below
        groups = try container.decode([String: [String: String]].self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(groups)
    }
}
