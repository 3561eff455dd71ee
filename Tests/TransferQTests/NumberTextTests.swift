import Foundation
import Testing
import TransferQ

@Suite struct NumberTextTests {
    @Test func printsAsPrintf() {
        #expect(2.5.fixed(3) == "2.500" && (-0.125).fixed(2) == "-0.12" && 1e3.fixed(0) == "1000")
        // The double below 2.675, not the decimal number.
        #expect(2.675.fixed(2) == "2.67")
        #expect(3.14159.fixed(2, width: 7) == "   3.14" && 12345.678.fixed(1, width: 3) == "12345.7")
        #expect(0.5.fixed(2, signed: true) == "+0.50" && (-0.5).fixed(2, signed: true) == "-0.50")
        #expect(0.25.significant(3) == "0.25" && 1_234_567.0.significant(3) == "1.23e+06")
        #expect(1e-5.significant() == "1e-05" && 0.0.significant() == "0" && 0.3.significant(3, signed: true) == "+0.3")
        #expect(Double.nan.fixed(2) == "nan" && (-Double.infinity).significant() == "-inf")
    }

    @Test func bytesAreTwoDigits() {
        #expect([UInt8](0...255).hexadecimal.count == 512)
        #expect([UInt8]([0, 9, 16, 255]).hexadecimal == "000910ff")
    }

    /// A C format string reads any argument as what it says it is: an integer 0 under `%.4f` printed another number.
    @Test func noOtherFileHoldsCFormatStrings() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let forms = [
            #/String\s*(?:\.init)?\(\s*format\s*:/#, #/String\s*\(\s*localized/#, #/\.init\(\s*format\s*:\s*"/#,
            #/appendFormat|WithFormat|stringWithFormat/#, #/\bv?[fsd]?n?printf\s*\(/#, #/withVaList|CVarArg/#,
        ]
        var read = 0
        for folder in ["Sources", "Tests", "Examples"] {
            let files = try #require(
                FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil))
            for case let file as URL in files where file.pathExtension == "swift" {
                read += 1
                // This one names what it looks for.
                guard file.lastPathComponent != "NumberTextTests.swift" else { continue }
                let text = try String(contentsOf: file, encoding: .utf8)
                let found = forms.reduce(0) { $0 + text.matches(of: $1).count }
                let allowed = file.lastPathComponent == "NumberText.swift" ? 1 : 0
                #expect(found == allowed, "\(file.path): print numbers with Double.fixed and Double.significant")
            }
        }
        #expect(read > 100)
    }
}
