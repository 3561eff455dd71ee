import Foundation
import TransferQ
import TransferQDigest

/// A report as one HTML page that loads nothing from elsewhere.
///
/// Tables and figures are markup; its script sorts tables and shows answers. What people and models wrote is escaped where
/// it is markup and set as text by the script. A content security policy names the page's own script and style by their
/// hashes, so that nothing else could run.
struct ReportPage {
    let run: RunContents
    let figures: ReportFigures
    let traces: ReportTraces

    private func e(_ text: String) -> String { SVGText.escaped(text) }

    func html() throws -> String {
        let style = String(decoding: PackageResources.report_css, as: UTF8.self) + PlotStyle.css + "\n"
        let script = String(decoding: PackageResources.report_js, as: UTF8.self)
        let data = try ReportData(run, figures.frontiers, traces).json()
        let policy =
            "default-src 'none'; script-src '\(Self.hash(script))'; style-src '\(Self.hash(style))'; "
            + "base-uri 'none'; form-action 'none'"
        let sections = [results, pictures, answers, method].filter { !$0.body.isEmpty }
        let links = sections.map { "<li><a href=\"#\($0.id)\">\(e($0.title))</a></li>" }
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="\(e(policy))">
            <title>\(e(run.name)): TransferQ evaluation</title>
            <style>\(style)</style>
            </head>
            <body>
            <a class="skip" href="#results">To the results</a>
            <header>
            <h1>Evaluation \(e(run.name))</h1>
            <p class="soft">\(e(ReportText(run, figures).subtitle))</p>
            <nav aria-label="Sections"><ul>
            \(links.joined(separator: "\n"))
            </ul></nav>
            </header>
            <main>
            \(sections.map { "<section id=\"\($0.id)\">\n<h2>\(e($0.title))</h2>\n\($0.body)\n</section>" }.joined(separator: "\n"))
            </main>
            <script type="application/json" id="data">\(data)</script>
            <script>\(script)</script>
            </body>
            </html>

            """
    }

    private static func hash(_ text: String) -> String {
        "sha256-" + Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString()
    }

    private struct Section {
        let id: String
        let title: String
        let body: String
    }

    /// A table in a box of its own that scrolls, also by keys.
    private func box(_ label: String, kind: String, _ rows: [String], caption: String, sortable: Bool = false) -> String
    {
        """
        <div class="box" tabindex="0" role="region" aria-label="\(e(label))">
        <table class="\(kind)"\(sortable ? " data-sortable" : "")>
        <caption>\(e(caption))</caption>
        \(rows.joined(separator: "\n"))
        </table>
        </div>
        """
    }

    private func head(_ columns: [EvaluationTable.Column]) -> String {
        let cells = columns.map { column in
            let title = e(column.title.capitalisedFirst)
            return "<th scope=\"col\" data-column=\"\(e(column.id))\"><span class=\"title\">\(title)</span></th>"
        }
        return "<thead><tr><th scope=\"col\"><span class=\"title\">Method</span></th>\(cells.joined())</tr></thead>"
    }

    /// A name that breaks between its parts where it must.
    private func breakable(_ name: String) -> String {
        e(name).replacing(",", with: ",<wbr>").replacing("[", with: "[<wbr>")
    }

    private func row(_ method: String, _ cells: [String]) -> String {
        "<tr><th scope=\"row\"><span class=\"name\">\(breakable(method))</span></th>\(cells.joined())</tr>"
    }

    private var results: Section {
        let text = ReportText(run, figures)
        let means = run.table.rows.map { line in
            row(line.method, run.columns.map { Self.cell($0, line.cells[$0.id]?.value, line.klKind) })
        }
        var parts = ["<p>\(e(text.aboutMeans))</p>"]
        parts.append(
            box(
                "Means", kind: "wide means", [head(run.columns), "<tbody>"] + means + ["</tbody>"],
                caption: "Means with 95 % intervals", sortable: true))
        parts += run.table.notes.map { "<p class=\"note\">\(e($0))</p>" }
        let (rows, columns) = text.compared
        if !columns.isEmpty {
            let differences = rows.map { line in
                row(line.method, columns.map { Self.difference($0, line.cells[$0.id]?.difference) })
            }
            let reference = run.table.reference
            parts += [
                "<h3 id=\"differences\">Differences to \(e(reference))</h3>", "<p>\(e(text.aboutDifferences))</p>",
                box(
                    "Differences", kind: "wide differences", [head(columns), "<tbody>"] + differences + ["</tbody>"],
                    caption: "Mean paired differences to \(reference) with 95 % intervals", sortable: true),
            ]
        }
        if let judgements = text.judgements {
            parts += [
                "<h3>Judgements</h3>",
                plain("Judgements", judgements, caption: "Answers compared by a judge, in both orders"),
            ]
        }
        if !text.findings.isEmpty {
            let items = text.findings.map { "<li>\(e($0).minus)</li>" }
            parts += ["<h3>Over-optimisation</h3>", "<ul>\(items.joined())</ul>"]
        }
        return Section(id: "results", title: "Results", body: parts.joined(separator: "\n"))
    }

    /// A table of texts, its head first.
    private func plain(_ label: String, _ rows: [[String]], caption: String) -> String {
        let head = rows[0].map { "<th scope=\"col\">\(e($0))</th>" }.joined()
        let body = rows.dropFirst().map { cells in row(cells[0], cells.dropFirst().map { "<td>\(e($0).minus)</td>" }) }
        return box(
            label, kind: "wide plain", ["<thead><tr>\(head)</tr></thead>", "<tbody>"] + body + ["</tbody>"],
            caption: caption)
    }

    private static func cell(_ column: EvaluationTable.Column, _ value: MeanInterval?, _ kind: KLKind?) -> String {
        guard let value else { return "<td>–</td>" }
        let isKL = column.id == "kl" || column.id == "klPerToken"
        let what = isKL && kind != .divergence ? kind.map { "<span class=\"what\">\($0.short)</span>" } ?? "" : ""
        return "<td \(data(value))>\(value.mean.figure(column.digits).minus)\(range(value, column.digits))\(what)</td>"
    }

    private static func difference(
        _ column: EvaluationTable.Column, _ difference: EvaluationTable.Difference?
    ) -> String {
        guard let difference else { return "<td>–</td>" }
        let mark = ReportText.mark(difference, column)
        let kind = mark.hasPrefix("▲") ? "better" : mark.hasPrefix("▼") ? "worse" : "other"
        let mean = "\(mark)\(difference.value.mean.figure(column.digits, signed: true))".minus
        let word = kind == "other" ? "" : "<span class=\"hidden\"> \(kind)</span>"
        var wins = ""
        if let won = difference.wins, let tied = difference.ties, let lost = difference.losses,
            column.id == "reward" || column.id.hasPrefix("gold:")
        {
            wins = "<span class=\"what\">\(won) won, \(tied) tied, \(lost) lost</span>"
        }
        return "<td \(data(difference.value))><span class=\"\(kind)\">\(mean)</span>\(word)"
            + "\(range(difference.value, column.digits, signed: true))\(wins)</td>"
    }

    /// The figure with all its digits, for whoever reads the page by a program.
    private static func data(_ value: MeanInterval) -> String {
        let ends = value.range.map { " data-low=\"\($0.lowerBound)\" data-high=\"\($0.upperBound)\"" } ?? ""
        return "data-value=\"\(value.mean)\" data-n=\"\(value.clusters)\"\(ends)"
    }

    private static func range(_ value: MeanInterval, _ digits: Int, signed: Bool = false) -> String {
        guard let ends = value.range else { return "<span class=\"range\">one prompt</span>" }
        let texts = [ends.lowerBound, ends.upperBound].map { $0.figure(digits, signed: signed) }
        return "<span class=\"range\">\(texts.joined(separator: " to ").minus)</span>"
    }

    private var pictures: Section {
        let all = figures.all.map { figure in
            let table = plain(figure.title, figure.table, caption: figure.title)
            return """
                <figure id="figure-\(figure.id)">
                <figcaption><h3>\(e(figure.title))</h3><span class="soft small">\(e(figure.summary).minus)</span></figcaption>
                \(figure.svg(.wide))\(figure.svg(.narrow))<details><summary>As a table</summary>\(table)</details>
                </figure>
                """
        }
        let body = all.isEmpty ? "" : "<div class=\"figures\">\n\(all.joined(separator: "\n"))\n</div>"
        return Section(id: "figures", title: "Figures", body: body)
    }

    private var answers: Section {
        func options(_ texts: [(value: String, text: String)], chosen: String) -> String {
            texts.map { option in
                "<option value=\"\(e(option.value))\"\(option.value == chosen ? " selected" : "")>\(e(option.text))</option>"
            }.joined()
        }
        let methods = run.methods.enumerated().map { (value: "\($0)", text: $1) }
        let reference = run.methods.firstIndex(of: run.table.reference) ?? 0
        let own = run.methods.indices.last { $0 != reference } ?? reference
        let columns = run.answerColumns
        guard !columns.isEmpty else { return Section(id: "answers", title: "Answers", body: "") }
        let first = columns.first { $0.id.hasPrefix("gold:") } ?? columns[0]
        let columnOptions = options(columns.map { (value: $0.id, text: $0.title) }, chosen: first.id)
        let left =
            traces.leftOut == 0
            ? "" : " Traces of \(traces.leftOut) of \(traces.found) answers are left out to keep the page small."
        return Section(
            id: "answers", title: "Answers",
            body: """
                <p>Two methods' answers to the same prompts, by the paired difference of a figure.\(left)</p>
                <noscript><p>This part needs JavaScript; answers.jsonl in the run's folder holds the same.</p></noscript>
                <form class="controls" id="answer-controls" hidden>
                <label>Method<select name="own">\(options(methods, chosen: "\(own)"))</select></label>
                <label>Against<select name="other">\(options(methods, chosen: "\(reference)"))</select></label>
                <label>By<select name="column">\(columnOptions)</select></label>
                <label>Order<select name="order"><option value="best">best first</option>\
                <option value="worst">worst first</option><option value="file">as in the file</option></select></label>
                <label>Words in prompt or answers<input type="search" name="words" autocomplete="off"></label>
                <label class="check"><input type="checkbox" name="all">All methods</label>
                </form>
                <p id="answer-count" class="soft" role="status"></p>
                <div id="answer-list"></div>
                """)
    }

    private var method: Section {
        let text = ReportText(run, figures)
        let list = text.origins.map { "<dt>\(e($0.0))</dt><dd>\(e($0.1))</dd>" }.joined(separator: "\n")
        let groups = run.sources.flatMap { name, specification in
            specification.settings.groups.sorted { $0.key < $1.key }.map { group, values in
                let rows = values.sorted { $0.key < $1.key }.map { "<dt>\(e($0.key))</dt><dd>\(e($0.value))</dd>" }
                let title = e(run.sources.count > 1 ? "\(name): \(group)" : group)
                return
                    "<details><summary>\(title)</summary><dl class=\"how\">\(rows.joined(separator: "\n"))</dl></details>"
            }
        }
        return Section(
            id: "how", title: "How it was made",
            body: "<dl class=\"how\">\n\(list)\n</dl>\n<h3>Every parameter</h3>\n\(groups.joined(separator: "\n"))")
    }
}

extension String {
    /// With minus signs where a hyphen stands before a digit.
    fileprivate var minus: String { replacing(/-(?=\d)/, with: "−") }
}
