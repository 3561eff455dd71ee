import Foundation
import TransferQ
import TransferQLlama
import TransferQRuntime

extension RunSettings {
    /// What the answers of an evaluation depend on besides their prompts. Reads every file to its end.
    ///
    /// - Parameters:
    ///   - runtime: of the model without a baseline.
    ///   - rewards: those that guide.
    init(_ spec: EvaluationSpec, _ runtime: Runtime, _ rewards: LoadedRewards) async throws {
        let request = try AnswerRequest(
            messages: [Message(role: "user", content: ".")], form: spec.prompts.form, method: spec.methods[0].method,
            scoring: spec.scoring, limits: spec.limits)
        try await self.init(request, runtime, rewards)
        // Every answer has its own.
        groups["answer"]?["seed"] = nil
        groups["answer"]?["form of the prompts"] = spec.prompts.form.rawValue
        groups["answer"]?["system prompt"] = spec.prompts.system.map(Self.short)
        for (name, baseline) in spec.baselines {
            var group = ["system prompt": baseline.system.map(Self.short)].compactMapValues { $0 }
            let settings = try await runtime.engine.settings(spec.model, baseline: baseline)
            group["model"] = settings["baseline"]
            group["adapter"] = settings["adapter of the baseline"]
            groups[Self.baseline(name)] = group
        }
        for entry in spec.methods {
            var group = Dictionary(
                uniqueKeysWithValues: try entry.method.configured().parameters.compactMap { parameter in
                    parameter.value.map { (parameter.name, Self.short("\($0)")) }
                })
            group["name"] = entry.method.name
            group["baseline"] = try spec.baseline(of: entry)
            // Its default is a sentence; what it came to is a number.
            if let reward = rewards.target, let alpha = group["alpha"], Double(alpha) == nil {
                group["alpha"] = "\(reward.unit)"
            }
            groups[Self.method(entry.label)] = group
        }
    }

    static func method(_ label: String) -> String { "method \(label)" }
    static func baseline(_ name: String) -> String { "baseline \(name)" }
    static func gold(_ name: String) -> String { "gold \(name)" }

    /// Every parameter of a method, its name and its baseline; empty for a method that is not there.
    public func parameters(of label: String) -> [String: String] { groups[Self.method(label)] ?? [:] }

    /// What differs from `earlier` settings in what both have; methods, baselines and gold rewards may have been added.
    func conflicts(with earlier: RunSettings) -> [String] {
        func isShared(_ group: String) -> Bool {
            let isAddition = ["method ", "baseline ", "gold ", "metric "].contains { group.hasPrefix($0) }
            return !isAddition || (groups[group] != nil && earlier.groups[group] != nil)
        }
        var (now, before) = (self, earlier)
        now.groups = now.groups.filter { isShared($0.key) }
        before.groups = before.groups.filter { isShared($0.key) }
        return now.differences(from: before)
    }

    /// With the groups that only `earlier` settings have.
    func adding(_ earlier: RunSettings) -> RunSettings {
        var settings = self
        settings.groups.merge(earlier.groups) { own, _ in own }
        return settings
    }
}

extension EvaluationSpec {
    /// With what an earlier run of the same folder had besides, its methods first.
    func adding(to earlier: EvaluationSpec) -> EvaluationSpec {
        var spec = self
        let own = Dictionary(uniqueKeysWithValues: methods.map { ($0.label, $0) })
        let known = Set(earlier.methods.map(\.label))
        spec.methods = earlier.methods.map { own[$0.label] ?? $0 } + methods.filter { !known.contains($0.label) }
        spec.baselines.merge(earlier.baselines) { own, _ in own }
        spec.gold.merge(earlier.gold) { own, _ in own }
        spec.seeds = earlier.seeds + seeds.filter { !earlier.seeds.contains($0) }
        spec.metrics = earlier.metrics + metrics.filter { !earlier.metrics.contains($0) }
        spec.judge = judge ?? earlier.judge
        return spec
    }
}
