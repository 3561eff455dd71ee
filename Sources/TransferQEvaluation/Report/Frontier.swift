import Foundation
public import TransferQ
import TransferQRuntime

/// Rewards over a parameter that sets how strongly a method is guided: α, or the KL budget.
///
/// Methods that differ in that parameter alone are a family. Where the guiding reward goes on rising and a gold reward
/// falls, the method over-optimises; the peak is the setting with the highest gold reward (Gao et al., 2210.10760).
public struct Frontier: Codable, Hashable, Sendable {
    public enum Setting: String, Codable, CaseIterable, Sendable {
        /// Less of it guides more.
        case alpha
        /// Nats an answer may spend; more of it guides more.
        case budget = "kl-budget"

        public var symbol: String { self == .alpha ? "α" : "KL budget" }
    }

    public struct Point: Codable, Hashable, Sendable {
        /// The method's label.
        public let method: String
        public let setting: Double
        /// By the columns' names.
        public let values: [String: MeanInterval]
    }

    /// The setting with the highest mean of a gold reward.
    public struct Peak: Codable, Hashable, Sendable {
        public let method: String
        public let setting: Double
        public let mean: Double
        /// Of the peak minus the most strongly guided member, paired; nil when the peak is that one.
        public let fall: EvaluationTable.Difference?
        /// The most strongly guided member.
        public let strongest: String

        /// Whether the reward falls beyond the peak: the interval of the fall holds no zero.
        public var isOverOptimised: Bool { fall.map { $0.isDifferent && $0.value.mean > 0 } ?? false }
    }

    public struct Family: Codable, Hashable, Sendable {
        public let name: String
        /// From the weakest guidance to the strongest.
        public let points: [Point]
        /// By the gold columns' names.
        public let peaks: [String: Peak]
    }

    public let setting: Setting
    public let families: [Family]

    /// - Returns: families of at least two methods; none where no two differ in the parameter alone.
    public init(_ run: RunContents, over setting: Setting) {
        self.setting = setting
        var order: [Key] = []
        var members: [Key: [Point]] = [:]
        var labels: [Key: [String]] = [:]
        for entry in run.specification.specification.methods {
            var parameters = run.specification.settings.parameters(of: entry.label)
            // In files by hand there may be no more than what the entry gives.
            if parameters.isEmpty { parameters = entry.method.parameters.mapValues { "\($0)" } }
            guard let row = run.table.rows.first(where: { $0.method == entry.label }),
                let value = parameters.removeValue(forKey: setting.rawValue).flatMap(Double.init), value.isFinite
            else { continue }
            let key = Key(method: entry.method.name, baseline: entry.baseline, parameters: parameters)
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(
                Point(method: entry.label, setting: value, values: row.cells.mapValues(\.value)))
            labels[key, default: []].append(entry.label)
        }
        families = order.compactMap { key in
            guard let points = members[key], points.count > 1 else { return nil }
            let sorted = points.sorted { setting == .alpha ? $0.setting > $1.setting : $0.setting < $1.setting }
            var peaks: [String: Peak] = [:]
            for column in run.goldColumns { peaks[column.id] = Self.peak(of: sorted, column, run) }
            return Family(name: Self.name(key.method, labels[key] ?? [], setting), points: sorted, peaks: peaks)
        }
    }

    private struct Key: Hashable {
        let method: String
        let baseline: String?
        let parameters: [String: String]
    }

    private static func peak(of points: [Point], _ column: EvaluationTable.Column, _ run: RunContents) -> Peak? {
        let known = points.filter { $0.values[column.id] != nil }
        guard let strongest = known.last,
            let best = known.max(by: { ($0.values[column.id]?.mean ?? 0) < ($1.values[column.id]?.mean ?? 0) }),
            let mean = best.values[column.id]?.mean
        else { return nil }
        let isLast = best.method == strongest.method
        let fall = isLast ? nil : run.values.cell(column, of: best.method, against: strongest.method)?.difference
        return Peak(
            method: best.method, setting: best.setting, mean: mean, fall: fall, strongest: strongest.method)
    }

    /// What the labels of a family have in common: without the parameter where it is written out, otherwise their beginning.
    private static func name(_ method: String, _ labels: [String], _ setting: Setting) -> String {
        let bare = Set(
            labels.map { label in
                without(setting.rawValue, in: label)
            })
        if bare.count == 1, let name = bare.first, !name.isEmpty { return name }
        var common = Substring(labels[0])
        for label in labels { common = common.prefix(zip(common, label).prefix { $0 == $1 }.count) }
        while let last = common.last, !last.isLetter, last != ")", last != "]" { common.removeLast() }
        for ending in ["alpha", "α", "budget"] where common.hasSuffix(ending) { common.removeLast(ending.count) }
        while let last = common.last, !last.isLetter, last != ")", last != "]" { common.removeLast() }
        return common.isEmpty ? method : String(common)
    }

    /// `cd[alpha=0.5,k=10]` without alpha is `cd[k=10]`.
    private static func without(_ parameter: String, in label: String) -> String {
        guard let match = label.wholeMatch(of: /([^\[]+)\[(.*)\]/) else { return label }
        let kept = match.2.split(separator: ",").filter { !$0.hasPrefix(parameter + "=") }
        return kept.isEmpty ? String(match.1) : "\(match.1)[\(kept.joined(separator: ","))]"
    }
}
