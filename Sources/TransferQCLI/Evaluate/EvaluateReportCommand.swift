import ArgumentParser
import Foundation
import TransferQConsole
import TransferQEvaluation

struct EvaluateReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write what a run came to: one HTML page, Markdown, CSV and SVG.",
        discussion: """
            Everything is made of the run's files, without a model. The page loads nothing from elsewhere; it holds the \
            tables with intervals, figures, and answers side by side with their traces.

              transferq evaluate report runs/first
              transferq evaluate report runs/first --format html --output page
            """)

    @Argument(help: "The folder of a run.") var folder: String
    @OptionGroup var report: ReportOptions

    func run() throws {
        let contents = try RunContents(RunFolder(folder))
        try report.write(contents, standardFolder: RunFolder(folder).url.appending(path: "report"))
    }
}

/// Where reports go, and in which formats.
struct ReportOptions: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: "The folder to write into (default: the run's folder's report/).", completion: .directory)
    var output: String?

    @Option(help: "What to write, separated by commas: html, markdown, csv, svg.")
    var format = EvaluationReport.Format.allCases.map(\.rawValue).joined(separator: ",")

    @Option(
        parsing: .unconditional,
        help:
            "Megabytes that traces may take in the page; 0 leaves them out, what does not fit is left out and counted.")
    var traces = Double(EvaluationReport.standardTraceLimit) / 1e6

    func validate() throws {
        guard traces >= 0, traces <= 1000 else {
            throw ValidationError("--traces must be between 0 and 1000 megabytes, not \(traces)")
        }
        _ = try formats()
    }

    private func formats() throws -> Set<EvaluationReport.Format> {
        let names = format.split(separator: ",").map(String.init)
        let known = EvaluationReport.Format.allCases.map(\.rawValue).joined(separator: ", ")
        guard !names.isEmpty else { throw ValidationError("--format must name at least one of \(known)") }
        return Set(
            try names.map { name in
                guard let format = EvaluationReport.Format(rawValue: name) else {
                    throw ValidationError("--format knows \(known), not \"\(name)\"")
                }
                return format
            })
    }

    /// Writes the files and prints their paths.
    func write(_ run: RunContents, standardFolder: URL) throws {
        let folder = output.map { URL(filePath: $0, directoryHint: .isDirectory) } ?? standardFolder
        let report = try EvaluationReport(run, traceLimit: Int(traces * 1e6))
        for file in try report.write(formats(), to: folder) { Console.print(file.relativePath) }
    }
}
