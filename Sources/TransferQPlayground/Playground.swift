import Foundation
import TransferQDigest

/// The playground: one page that talks to `transferq serve`, and that shows traces of `generate --trace` without it.
///
/// The page is plain HTML, CSS and ES modules, which are part of the program. A server offers its files by ``file(_:)``;
/// ``page(trace:)`` is the same page as one file that needs no server.
public enum Playground {
    /// The modules of the page, each after those that it imports.
    private static let modules: [(name: String, content: [UInt8])] = [
        ("dom.js", PackageResources.dom_js),
        ("trace.js", PackageResources.trace_js),
        ("whatif.js", PackageResources.whatif_js),
        ("sse.js", PackageResources.sse_js),
        ("chart.js", PackageResources.chart_js),
        ("tokens.js", PackageResources.tokens_js),
        ("inspector.js", PackageResources.inspector_js),
        ("answer.js", PackageResources.answer_js),
        ("controls.js", PackageResources.controls_js),
        ("chat.js", PackageResources.chat_js),
        ("app.js", PackageResources.app_js),
    ]

    private static let others: [(name: String, content: [UInt8], type: String)] = [
        ("index.html", PackageResources.index_html, "text/html; charset=utf-8"),
        ("style.css", PackageResources.style_css, "text/css; charset=utf-8"),
        ("answer.css", PackageResources.answer_css, "text/css; charset=utf-8"),
        ("icon.svg", PackageResources.icon_svg, "image/svg+xml"),
    ]

    /// A file of the page.
    ///
    /// - Parameter path: below `/playground/`; "index.html" is the page itself, which belongs at `/`.
    /// - Returns: its bytes and the value of the header Content-Type; nil for a path that is no file of the page.
    public static func file(_ path: String) -> (content: [UInt8], type: String)? {
        if let file = others.first(where: { $0.name == path }) { return (file.content, file.type) }
        return modules.first { $0.name == path }.map { ($0.content, "text/javascript; charset=utf-8") }
    }

    /// The page with a trace in it, as one file that loads nothing.
    ///
    /// A content security policy names the page's own script and style by their hashes, so that nothing else could run. The
    /// trace is data, which the page's script sets as text.
    ///
    /// - Parameter trace: lines as `generate --trace` writes them.
    public static func page(trace: String) -> String {
        let script = bundle
        let style = ["style.css", "answer.css"].map(text).joined(separator: "\n")
        let policy =
            "default-src 'none'; script-src '\(hash(script))'; style-src '\(hash(style))'; base-uri 'none'; form-action 'none'"
        let head = """
            <meta http-equiv="Content-Security-Policy" content="\(policy)">
            <style>\(style)</style>
            """
        // No "<" in the data: it can end no element and begin none. In JSON it stands in strings only.
        let data = trace.replacing("<", with: "\\u003c")
        let body = """
            <script type="application/json" id="trace">\(data)</script>
            <script type="module">\(script)</script>
            """
        return replacing("head", of: replacing("body", of: text("index.html"), with: body), with: head)
            .replacing("<html lang=\"en\">", with: "<html lang=\"en\" data-mode=\"trace\">", maxReplacements: 1)
    }

    private static func text(_ name: String) -> String { String(decoding: file(name)?.content ?? [], as: UTF8.self) }

    /// Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`: what the page loads from its server.
    private static func replacing(_ name: String, of page: String, with content: String) -> String {
        guard let begin = page.range(of: "<!-- \(name) -->"), let end = page.range(of: "<!-- /\(name) -->") else {
            return page
        }
        return page.replacingCharacters(in: begin.lowerBound..<end.upperBound, with: content)
    }

    /// All modules as one. Each import stands on a line of its own, each export begins one, and no two modules give
    /// something at their top the same name; `scripts/test-playground` opens the result.
    private static var bundle: String {
        modules.map { module in
            String(decoding: module.content, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
                .filter { !$0.hasPrefix("import ") }
                .map { $0.hasPrefix("export ") ? $0.dropFirst("export ".count) : $0 }
                .joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func hash(_ text: String) -> String {
        "sha256-" + Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString()
    }
}
