import Foundation
import TestSupport
import Testing

/// Real clients, mutated requests and clients that go away against the program, as `scripts/test-server` has them.
@Suite struct ClientTests {
    @Test func theServerServesThem() throws {
        try run([])
    }

    fileprivate func run(_ arguments: [String]) throws {
        let program = try SharpProgram(seed: 7)
        let scripts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "scripts")
        let process = Process()
        process.executableURL = scripts.appending(path: "test-server")
        process.arguments = [try ProgramRun.executable.path, program.model] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        print(text)
    }
}

/// The same in full: 10,000 mutated requests, 1,000 clients that go away, over 2,000 requests of the OpenAPI document, twenty
/// minutes at full load.
@Suite struct LongClientTests {
    @Test func theServerServesThemForLong() throws { try ClientTests().run(["--long"]) }
}
