import Foundation
import Testing
import TransferQPlayground

/// The page's files, and the page as one file.
@Suite struct PlaygroundTests {
    private func text(_ path: String) throws -> String {
        String(decoding: try #require(Playground.file(path), "\(path) is no file of the page").content, as: UTF8.self)
    }

    /// The page names its style, its icon and one module; modules name each other.
    @Test func everyFileThatIsNamedIsThere() throws {
        let page = try text("index.html")
        let named = page.matches(of: /(?:href|src)="playground\/([^"]+)"/).map { String($0.1) }
        #expect(named.sorted() == ["answer.css", "app.js", "icon.svg", "style.css"])
        var modules = ["app.js"]
        for name in sequence(
            state: 0,
            next: { (index: inout Int) in
                defer { index += 1 }
                return index < modules.count ? modules[index] : nil
            })
        {
            for match in try text(name).matches(of: /(?m)^import .* from "\.\/([^"]+)";$/)
            where !modules.contains(String(match.1)) {
                modules.append(String(match.1))
            }
        }
        #expect(modules.count == 11)
        for name in named + modules { #expect(try !text(name).isEmpty) }
    }

    @Test func typesAreThoseOfTheFiles() throws {
        #expect(Playground.file("index.html")?.type == "text/html; charset=utf-8")
        #expect(Playground.file("app.js")?.type == "text/javascript; charset=utf-8")
        #expect(Playground.file("style.css")?.type == "text/css; charset=utf-8")
        #expect(Playground.file("icon.svg")?.type == "image/svg+xml")
        for path in ["", "/", "nothing.js", "../Playground.swift", "Page/app.js", "app.js/"] {
            #expect(Playground.file(path) == nil, "\(path)")
        }
    }

    /// A policy of `default-src 'self'` allows all of it.
    @Test func nothingIsInline() throws {
        let page = try text("index.html")
        #expect(page.firstMatch(of: /<style|style="|<script(?! type="module" src)|\son[a-z]+=|https?:/) == nil)
        for name in [
            "app.js", "answer.js", "inspector.js", "tokens.js", "dom.js", "chat.js", "controls.js", "chart.js",
        ] {
            #expect(
                try text(name).firstMatch(of: /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/) == nil)
        }
    }

    @Test func thePageOfATraceLoadsNothing() {
        let trace = #"{"text":"</script><script>alert(1)</script>","candidates":[]}"# + "\n"
        let page = Playground.page(trace: trace)
        #expect(page.firstMatch(of: #/(?m)^(import|export) /#) == nil)
        #expect(page.firstMatch(of: /<link|\ssrc="|@import|https?:\/\/(?!www\.w3\.org)/) == nil)
        #expect(
            page.firstMatch(of: /default-src 'none'; script-src 'sha256-[A-Za-z0-9+\/]{43}='; style-src 'sha256-/)
                != nil)
        #expect(page.contains(#"<html lang="en" data-mode="trace">"#))
        // Two elements, the trace and the script, and no third that the trace would bring.
        #expect(page.matches(of: /<script/).count == 2 && page.matches(of: /<\/script>/).count == 2)
        #expect(page.contains(#"{"text":"\u003c/script>\u003cscript>alert(1)\u003c/script>","candidates":[]}"#))
    }
}
