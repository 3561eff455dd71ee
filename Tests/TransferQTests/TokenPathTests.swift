import Foundation
import Testing

/// The path of a token as CONTRIBUTING writes it: short, once down and once up, and of what is there.
@Suite struct TokenPathTests {
    @Test func everyEntryNamesWhatIsThere() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "CONTRIBUTING.md"), encoding: .utf8)
        let row = /(?m)^\| ([↓↑]) \| `(\w+)\.(\w+)` \| (\S+) \|/
        let rows = text.matches(of: row).map(\.output)
        #expect((10...20).contains(rows.count))
        let directions = rows.map { String($0.1) }.joined()
        #expect(directions.contains(/^↓+↑+$/), "once down, once up")
        for (_, _, type, member, path) in rows {
            let source = try String(contentsOf: root.appending(path: String(path)), encoding: .utf8)
            let declared = try Regex("(struct|class|actor|enum|protocol|extension) \(type)\\b")
            #expect(source.contains(declared), "\(path) declares no \(type)")
            let named = try Regex(member == "init" ? "init\\(" : "(func|case|var|let) \(member)\\b")
            #expect(source.contains(named), "\(path) has no \(member)")
        }
    }
}
