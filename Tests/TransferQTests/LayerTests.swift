import Foundation
import Testing

/// The folders of the core are layers: each uses itself and those before it.
@Suite struct LayerTests {
    /// Lowest first.
    static let layers = ["Concurrency", "Numerics", "Language", "Reward", "Value", "Search", "Decoding"]

    static let core = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/TransferQ")

    private struct Source: Sendable {
        let layer: Int
        let file: String
        let code: String
    }

    /// Read once.
    private static let sources = Result {
        try layers.indices.flatMap { layer in
            let folder = core.appending(path: layers[layer])
            let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
            return try files.filter { $0.hasSuffix(".swift") }.sorted().map { file in
                let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
                return Source(layer: layer, file: "\(layers[layer])/\(file)", code: code(of: text))
            }
        }
    }

    @Test func everyFolderIsALayer() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.core.path)
        #expect(folders.sorted() == Self.layers.sorted())
    }

    @Test func noFolderUsesOneAboveIt() throws {
        let sources = try Self.sources.get()
        var homes: [Substring: Int] = [:]
        for source in sources {
            for type in Self.types(declaredIn: source.code) {
                #expect(homes[type] == nil || homes[type] == source.layer, "two folders declare \(type)")
                homes[type] = source.layer
            }
        }
        #expect(homes.count > 60)
        for source in sources {
            let words = Set(source.code.matches(of: /\b[A-Z]\w*/).map(\.output))
            for word in words.sorted() {
                guard let home = homes[word], home > source.layer else { continue }
                Issue.record("\(source.file) uses \(word), which is declared in \(Self.layers[home]), a layer above it")
            }
        }
    }

    /// What other files can name: types at the left margin that are not private.
    private static func types(declaredIn code: String) -> [Substring] {
        let declaration =
            #/
            ^ (?: (?: public | package | final | indirect ) \s | @\w+ \s )*
            (?: struct | class | enum | protocol | actor | typealias ) \s (\w+)
            /#
        return code.matches(of: declaration.anchorsMatchLineEndings()).map(\.output.1)
    }

    /// π_tilt·exp(Q/α) stands in one place.
    @Test func onlyTheTiltedDistributionDividesByAlpha() throws {
        for source in try Self.sources.get() where source.file != "Value/TiltedDistribution.swift" {
            let division = source.code.firstMatch(of: /\/=?\s*(?:\w+\.)*alpha\b/)
            #expect(division == nil, "\(source.file) divides by alpha")
        }
    }

    @Test func commentsAndLiteralsAreNoCode() {
        let text = """
            let a = "Search /* \\(b) */ \\"x" // Search
            /* Search /* Search */ Search */ let c = Value
            let d = #"Search"# + \"\"\"
                Search "Search"
                \"\"\"
            public final class Mine {}
            private struct Hidden {}
            """
        let code = Self.code(of: text)
        #expect(!code.contains("Search"))
        #expect(code.contains("let c = Value"))
        #expect(Self.types(declaredIn: code) == ["Mine"])
    }

    /// A source without its comments and string literals.
    private static func code(of text: String) -> String {
        var code = ""
        var rest = text[...]
        while let character = rest.first {
            if character == "/", rest.hasPrefix("//") {
                rest = rest.drop { !$0.isNewline }
            } else if character == "/", rest.hasPrefix("/*") {
                rest = afterComment(rest)
            } else if character == "\"" || character == "#", let opening = rest.prefixMatch(of: /(#*)("""|")/) {
                rest = afterLiteral(rest[opening.range.upperBound...], hashes: opening.1, quote: opening.2)
                code += " "
            } else {
                code.append(character)
                rest.removeFirst()
            }
        }
        return code
    }

    private static func afterComment(_ text: Substring) -> Substring {
        var (rest, depth) = (text, 0)
        repeat {
            if rest.hasPrefix("/*") {
                (rest, depth) = (rest.dropFirst(2), depth + 1)
            } else if rest.hasPrefix("*/") {
                (rest, depth) = (rest.dropFirst(2), depth - 1)
            } else {
                rest = rest.dropFirst()
            }
        } while depth > 0 && !rest.isEmpty
        return rest
    }

    private static func afterLiteral(_ text: Substring, hashes: Substring, quote: Substring) -> Substring {
        var rest = text
        while !rest.isEmpty, !rest.hasPrefix(quote + hashes) {
            rest = rest.dropFirst(rest.hasPrefix("\\" + hashes) ? 2 + hashes.count : 1)
        }
        return rest.dropFirst(quote.count + hashes.count)
    }
}
