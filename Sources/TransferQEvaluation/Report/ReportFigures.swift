import TransferQ

/// A picture of a report.
package enum ReportFigure: Sendable {
    case points(XYPlot)
    case rows(RowPlot)

    package var id: String {
        switch self {
        case .points(let plot): plot.id
        case .rows(let plot): plot.id
        }
    }

    package var title: String {
        switch self {
        case .points(let plot): plot.title
        case .rows(let plot): plot.title
        }
    }

    package var summary: String {
        switch self {
        case .points(let plot): plot.summary
        case .rows(let plot): plot.summary
        }
    }

    /// What is drawn as a table, its head first.
    package var table: [[String]] {
        switch self {
        case .points(let plot): plot.rows
        case .rows(let plot): plot.rows
        }
    }

    package func svg(_ size: PlotSize = .wide, isAlone: Bool = false) -> String {
        switch self {
        case .points(let plot): plot.svg(size, isAlone: isAlone)
        case .rows(let plot): plot.svg(size, isAlone: isAlone)
        }
    }
}

/// The pictures that a run has figures for.
struct ReportFigures {
    let run: RunContents
    /// Over α and over the KL budget, as far as there are methods that differ in them.
    let frontiers: [Frontier]
    private let rows: [String: EvaluationTable.Row]
    private let styles: [String: Int]

    init(_ run: RunContents) {
        let frontiers = Frontier.Setting.allCases.map { Frontier(run, over: $0) }.filter { !$0.families.isEmpty }
        rows = Dictionary(run.table.rows.map { ($0.method, $0) }) { first, _ in first }
        // Methods of a family look alike.
        var styles: [String: Int] = [:]
        var next = 0
        for method in run.methods where styles[method] == nil {
            let family = frontiers.flatMap(\.families).first { $0.points.contains { $0.method == method } }
            for member in family?.points.map(\.method) ?? [method] { styles[member] = next }
            next += 1
        }
        (self.run, self.frontiers, self.styles) = (run, frontiers, styles)
    }

    private func style(of method: String) -> Int { styles[method] ?? 0 }

    var all: [ReportFigure] {
        let gold = run.goldColumns
        var figures: [ReportFigure] = []
        for (index, id) in (["reward"] + gold.map(\.id)).enumerated() {
            if let plot = differences(id, index == 0 ? "reward" : "gold-\(index)") { figures.append(.rows(plot)) }
        }
        for kind in KLKind.allCases {
            let methods = run.methods.filter { rows[$0]?.klKind == kind }
            let name = "reward-" + (KLFields.CodingKeys.allCases.first { $0.kind == kind }?.rawValue ?? "")
            if let plot = against("reward", "kl", id: name, of: methods, kind: kind) { figures.append(.points(plot)) }
        }
        for frontier in frontiers {
            for (index, column) in gold.enumerated() {
                if let plot = overOptimisation(frontier, column, index) { figures.append(.points(plot)) }
            }
        }
        if let plot = against("reward", "seconds", id: "reward-seconds", of: run.methods, isLogarithmic: true) {
            figures.append(.points(plot))
        }
        for id in ["reward", "length"] { if let plot = distribution(id) { figures.append(.rows(plot)) } }
        return figures
    }

    /// One column against another: families as lines, other methods as points.
    private func against(
        _ y: String, _ x: String, id: String, of methods: [String], kind: KLKind? = nil, isLogarithmic: Bool = false
    ) -> XYPlot? {
        guard let yColumn = run.column(y), let xColumn = run.column(x) else { return nil }
        func point(_ method: String, _ label: String?) -> XYPlot.Point? {
            guard methods.contains(method), let cells = rows[method]?.cells, let x = cells[x]?.value,
                let y = cells[y]?.value
            else { return nil }
            return XYPlot.Point(x: x.mean, y: y.mean, xInterval: x.range, yInterval: y.range, label: label)
        }
        var series: [XYPlot.Series] = []
        var drawn: Set<String> = []
        for method in methods where !drawn.contains(method) {
            let frontier = frontiers.first { $0.family(of: method) != nil }
            let family = frontier?.family(of: method)
            drawn.formUnion((family?.points.map(\.method) ?? []) + [method])
            let points =
                family?.points.map {
                    point($0.method, "\(frontier?.setting.symbol ?? "") \($0.setting.significant(3))")
                }
                ?? [point(method, nil)]
            guard points.contains(where: { $0 != nil }) else { continue }
            series.append(
                XYPlot.Series(
                    name: family?.name ?? method, points: points.compactMap { $0 }, style: style(of: method)))
        }
        guard series.reduce(0, { $0 + $1.points.count }) > 1 else { return nil }
        let about = kind.map { " Only methods whose KL is \($0.noun) are here." } ?? ""
        let lines = frontiers.isEmpty ? "" : " Lines join methods that differ in one setting."
        return XYPlot(
            id: id, title: "\(yColumn.title.capitalisedFirst) against \(xColumn.title)",
            summary: "Means of methods with 95 % intervals.\(lines)\(about)",
            xLabel: xColumn.title + (isLogarithmic ? ", logarithmic" : ""), yLabel: yColumn.title,
            xScale: isLogarithmic ? .logarithmic : .linear, series: series)
    }

    /// Gold against guiding reward along each family, its peak ringed.
    private func overOptimisation(_ frontier: Frontier, _ gold: EvaluationTable.Column, _ number: Int) -> XYPlot? {
        guard let guide = run.column("reward") else { return nil }
        let series = frontier.families.compactMap { family -> XYPlot.Series? in
            let points = family.points.compactMap { point -> XYPlot.Point? in
                guard let x = point.values["reward"], let y = point.values[gold.id] else { return nil }
                let isPeak = family.peaks[gold.id]?.method == point.method
                let label = "\(frontier.setting.symbol) \(point.setting.significant(3))"
                return XYPlot.Point(
                    x: x.mean, y: y.mean, xInterval: x.range, yInterval: y.range,
                    label: isPeak ? "peak: \(label)" : label, isRinged: isPeak)
            }
            guard points.count > 1 else { return nil }
            return XYPlot.Series(
                name: family.name, points: points, style: style(of: family.points.first?.method ?? ""))
        }
        guard !series.isEmpty else { return nil }
        return XYPlot(
            id: "gold-\(number + 1)-\(frontier.setting.rawValue)",
            title: "\(gold.title.capitalisedFirst) against \(guide.title) over \(frontier.setting.symbol)",
            summary: frontier.sentences(gold.id).joined(separator: " "),
            xLabel: guide.title, yLabel: gold.title, series: series)
    }

    /// Paired differences to the reference.
    private func differences(_ id: String, _ name: String) -> RowPlot? {
        guard let column = run.column(id) else { return nil }
        let data = run.table.rows.compactMap { row -> RowPlot.Row? in
            guard let difference = row.cells[id]?.difference else { return nil }
            return RowPlot.Row(
                name: row.method, mean: difference.value.mean, interval: difference.value.range,
                style: style(of: row.method), isFilled: difference.isDifferent)
        }
        guard !data.isEmpty else { return nil }
        return RowPlot(
            id: "difference-\(name)", title: "\(column.title.capitalisedFirst): difference to \(run.table.reference)",
            summary: "Mean paired differences with 95 % intervals. A hollow mark's interval holds zero: no winner.",
            xLabel: "\(column.title) minus that of \(run.table.reference)", mark: 0, data: data)
    }

    private func distribution(_ id: String) -> RowPlot? {
        guard let column = run.column(id) else { return nil }
        let data = run.table.rows.compactMap { row -> RowPlot.Row? in
            guard let value = row.cells[id]?.value else { return nil }
            return RowPlot.Row(
                name: row.method, mean: value.mean, interval: value.range,
                values: run.values.answers(of: row.method).compactMap { run.values.value(id, of: $0) },
                style: style(of: row.method))
        }
        guard !data.isEmpty else { return nil }
        return RowPlot(
            id: "distribution-\(id)", title: "Distribution of \(id == "length" ? "length" : column.title)",
            summary: "Shares of answers in \(RowPlot.bins) bins; below, the mean with its 95 % interval.",
            xLabel: column.title, data: data)
    }
}

extension KLKind {
    /// For a cell of a table.
    var short: String {
        switch self {
        case .divergence: "divergence"
        case .boundOverSkippedValues: "bound (values left out)"
        case .boundOfMethod: "method's bound"
        case .pointMass: "point mass"
        }
    }

    /// Completes "KL is …".
    var noun: String {
        switch self {
        case .divergence: "the divergence of the distribution drawn from"
        case .boundOverSkippedValues: "a bound, values left out being unknown"
        case .boundOfMethod: "the method's bound"
        case .pointMass: "that of a point mass, as choices are no draws"
        }
    }
}

extension String {
    var capitalisedFirst: String { prefix(1).uppercased() + dropFirst() }
}

extension Frontier {
    func family(of method: String) -> Family? { families.first { $0.points.contains { $0.method == method } } }

    /// What a gold reward does along each family, and whether intervals allow to say so.
    ///
    /// - Parameter column: for example `gold:held-out`.
    public func sentences(_ column: String) -> [String] {
        families.compactMap { family in
            guard let peak = family.peaks[column] else { return nil }
            let place =
                "\(family.name): highest mean \(peak.mean.fixed(3)) at \(setting.symbol) \(peak.setting.significant(3))"
            guard let fall = peak.fall else { return "\(place), the strongest guidance tried: no fall seen." }
            guard fall.value.low != nil else { return "\(place); too few prompts to say whether it falls beyond." }
            return peak.isOverOptimised
                ? "\(place); beyond it the reward falls by \(fall.value.text)."
                : "\(place); a fall beyond it is not shown, its interval holds zero: \(fall.value.text)."
        }
    }
}
