import Foundation
import TransferQ

/// Answers side by side, as one HTML page without anything from elsewhere.
struct ComparisonPage {
    struct Row {
        let answer: String
        /// In the order of ``columns``.
        let figures: [String]
    }

    static let columns = ["method", "reward", "KL (nats)", "answer tokens", "rollout tokens", "seconds"]

    let conversation: [Message]
    let rows: [Row]

    func html() -> String {
        let turns = conversation.map { turn in
            "<p><b>\(Self.escaped(turn.role))</b> \(Self.escaped(turn.content))</p>"
        }
        let answers = rows.map { row in
            "<section><h2>\(Self.escaped(row.figures[0]))</h2><p>\(Self.escaped(row.answer))</p></section>"
        }
        let head = Self.columns.map { "<th>\(Self.escaped($0))</th>" }.joined()
        let body = rows.map { row in
            "<tr>" + row.figures.map { "<td>\(Self.escaped($0))</td>" }.joined() + "</tr>"
        }
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>TransferQ: methods compared</title>
            <style>
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
            .answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem }
            section { border: 1px solid #ccc; border-radius: 6px; padding: 0 1rem }
            section p, body > p { white-space: pre-wrap }
            h2 { font-size: 1rem; font-family: ui-monospace, monospace }
            table { border-collapse: collapse; margin-top: 1.5rem }
            td, th { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
            td:first-child, th:first-child { text-align: left }
            </style>
            <h1>Methods compared</h1>
            \(turns.joined(separator: "\n"))
            <div class="answers">
            \(answers.joined(separator: "\n"))
            </div>
            <table>
            <tr>\(head)</tr>
            \(body.joined(separator: "\n"))
            </table>
            </html>
            """
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
