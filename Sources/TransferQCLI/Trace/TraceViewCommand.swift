import ArgumentParser
import Foundation
import TransferQConsole
import TransferQEvaluation
import TransferQPlayground
import TransferQRewards

/// `transferq trace view`: a trace as a page.
struct TraceViewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "view",
        abstract: "Write a trace as one HTML page that shows every choice.",
        discussion: """
            The page loads nothing from elsewhere: it can be kept, sent and opened anywhere. Each token opens with its \
            candidates, values and rollouts; another alpha shows which choices would have changed.

              transferq generate "How do I make tea?" --reward length:30 --trace tea.jsonl
              transferq trace view tea.jsonl --output tea.html
            """)

    @Argument(help: "A file that generate --trace wrote.", completion: .file(extensions: ["jsonl"])) var file: String
    @Option(name: [.short, .long], help: "The page to write (default: FILE with .html in place of .jsonl).")
    var output: String?

    /// What a line must have for the page to show it.
    private struct Step: Decodable {
        struct Candidate: Decodable {
            let text: String
            let logProbability: Double
        }

        let step: Int
        let text: String
        let candidates: [Candidate]
    }

    func run() throws {
        let page = output ?? (file.hasSuffix(".jsonl") ? String(file.dropLast(".jsonl".count)) : file) + ".html"
        guard URL(filePath: page).standardizedFileURL != URL(filePath: file).standardizedFileURL else {
            throw UsageError("the page would overwrite the trace \(file); choose another file for --output")
        }
        guard RegularFile.exists(file), let data = FileManager.default.contents(atPath: file),
            let text = String(validating: data, as: UTF8.self)
        else { throw UsageError("\(file) is no readable UTF-8 file; give one that generate --trace wrote") }
        let decoder = JSON.decoder
        var steps = 0
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where !line.allSatisfy(\.isWhitespace) {
            do { _ = try decoder.decode(Step.self, from: Data(line.utf8)) } catch {
                throw UsageError(
                    "line \(index + 1) of \(file) is no step of a trace; give a file that generate --trace wrote")
            }
            steps += 1
        }
        guard steps > 0 else { throw UsageError("\(file) holds no step; give a file that generate --trace wrote") }
        do {
            try Data(Playground.page(trace: text).utf8).write(to: URL(filePath: page), options: .atomic)
        } catch {
            throw UsageError("\(page) cannot be written: \(error.localizedDescription)")
        }
        Console.print(page)
    }
}
