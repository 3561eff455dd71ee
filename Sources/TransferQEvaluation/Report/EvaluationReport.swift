public import Foundation

/// What a run came to, as a page, Markdown, CSV and SVG, rebuilt from the run's files without a model.
///
///     let report = try EvaluationReport(RunContents(RunFolder("runs/first")))
///     try report.write([.html, .markdown], to: URL(filePath: "report"))
public struct EvaluationReport: Sendable {
    /// What can be written, by the names that the command line gives them.
    public enum Format: String, CaseIterable, Sendable {
        /// `report.html`: one page that loads nothing from elsewhere.
        case html
        /// `report.md`.
        case markdown
        /// `table.csv` with every figure of the tables, `answers.csv` with every figure of every answer.
        case csv
        /// A file for each figure.
        case svg
    }

    /// Bytes that the traces in a page may take where nothing else is asked for.
    public static let standardTraceLimit = 4_000_000

    /// Every figure of the tables.
    public var table: EvaluationTable { run.table }
    private let run: RunContents
    private let figures: ReportFigures
    private let traces: ReportTraces

    /// - Parameter traceLimit: bytes that the traces in the page may take; 0 leaves them out.
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` for a trace that cannot be read.
    public init(_ run: RunContents, traceLimit: Int = standardTraceLimit) throws {
        self.run = run
        figures = ReportFigures(run)
        traces = try ReportTraces(run, limit: traceLimit)
    }

    /// The page.
    public func html() throws -> String {
        try ReportPage(run: run, figures: figures, traces: traces).html()
    }

    /// - Parameter pictures: whether it refers to the files of `svg`, beside it.
    public func markdown(pictures: Bool) -> String { ReportText(run, figures).markdown(pictures: pictures) }

    /// Every figure of the tables, one a line.
    public var tableCSV: String { ReportText(run, figures).tableCSV() }

    /// Every figure of every answer, an answer a line.
    public var answersCSV: String { ReportText(run, figures).answersCSV() }

    /// SVG files by their names.
    public var svg: [String: String] {
        Dictionary(uniqueKeysWithValues: figures.all.map { ("\($0.id).svg", $0.svg(isAlone: true)) })
    }

    /// Writes files into a folder, which is made when it is not there.
    ///
    /// - Returns: the files, in the order of `formats`.
    /// - Throws: ``EvaluationError/cannotWrite(path:reason:)``.
    @discardableResult
    public func write(_ formats: Set<Format>, to folder: URL) throws -> [URL] {
        var files: [(name: String, content: String)] = []
        for format in Format.allCases where formats.contains(format) {
            switch format {
            case .html: files.append(("report.html", try html()))
            case .markdown: files.append(("report.md", markdown(pictures: formats.contains(.svg))))
            case .csv: files += [("table.csv", tableCSV), ("answers.csv", answersCSV)]
            case .svg: files += svg.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            }
        }
        return try files.map { name, content in
            let file = folder.appending(path: name)
            do {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try Data(content.utf8).write(to: file, options: .atomic)
            } catch {
                throw EvaluationError.cannotWrite(path: file.path, reason: error.localizedDescription)
            }
            return file
        }
    }
}
