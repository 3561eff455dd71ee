import Foundation
import TestSupport
import Testing
import TransferQLlama

/// `transferq models` against a local HTTPS server.
@Suite(.serialized) struct PullTests {
    /// A server of one file, with a certificate of its own.
    final class Server {
        let process = Process()
        let folder: TemporaryFolder
        let port: Int
        private let output = Pipe()

        init(file: URL, cuts: Int) throws {
            folder = try TemporaryFolder()
            let certificate = folder.file("certificate.pem").path
            let key = folder.file("key.pem").path
            let openssl = Process()
            openssl.executableURL = URL(filePath: "/usr/bin/env")
            openssl.arguments =
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
                + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate]
            openssl.standardError = FileHandle.nullDevice
            try openssl.run()
            openssl.waitUntilExit()
            #expect(openssl.terminationStatus == 0)
            let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "server.py")
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["python3", script.path, file.path, certificate, key, "\(cuts)"]
            process.standardOutput = output
            try process.run()
            var line = Data()
            while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) {
                guard !byte.isEmpty else { break }
                line += byte
            }
            port = try #require(Int(String(decoding: line, as: UTF8.self)))
        }

        var environment: [String: String] {
            ["CURL_CA_BUNDLE": folder.file("certificate.pem").path]
        }

        /// Path and range of every request, after the server has stopped.
        func requests() -> [String] {
            // Not SIGTERM: a child may inherit it blocked.
            kill(process.processIdentifier, SIGKILL)
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            return text.split(separator: "\n").map(String.init)
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    }

    private func tinyFile(_ folder: TemporaryFolder) throws -> (url: URL, sha256: String) {
        let file = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: file, vocabularyPadding: 20_000)
        return (file, try GGUFFile.sha256(file.path))
    }

    private func pull(_ source: [String], _ cache: TemporaryFolder, _ server: Server) throws -> ProgramRun {
        try ProgramRun.run(
            ["models", "pull"] + source,
            environment: server.environment.merging(["TRANSFERQ_CACHE": cache.url.path]) { $1 })
    }

    @Test func cutDownloadsResumeWithinOneCall() throws {
        let folder = try TemporaryFolder()
        let cache = try TemporaryFolder()
        let (file, sha256) = try tinyFile(folder)
        let server = try Server(file: file, cuts: 2)
        let run = try pull(["https://localhost:\(server.port)/tiny.gguf", "--sha256", sha256], cache, server)
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.output.contains(sha256))
        let requests = server.requests()
        #expect(requests.count == 3)
        #expect(requests.dropFirst().allSatisfy { $0.contains("bytes=") })
        #expect(try GGUFFile.sha256(cache.file("models/tiny.gguf").path) == sha256)
        let again = try pull(["https://localhost:\(server.port)/tiny.gguf"], cache, server)
        #expect(again.status == 1 && again.complaints.contains("exists already"))
    }

    @Test func aLaterCallGoesOnWhereTheFirstWasCut() throws {
        let folder = try TemporaryFolder()
        let cache = try TemporaryFolder()
        let (file, sha256) = try tinyFile(folder)
        let server = try Server(file: file, cuts: 3)
        let source = ["https://localhost:\(server.port)/tiny.gguf", "--sha256", sha256]
        let first = try pull(source, cache, server)
        #expect(first.status == 1)
        #expect(first.complaints.contains("run the same command again to resume"))
        #expect(!FileManager.default.fileExists(atPath: cache.file("models/tiny.gguf").path))
        let second = try pull(source, cache, server)
        #expect(second.status == 0, "\(second.complaints)")
        let requests = server.requests()
        #expect(requests.count == 4)
        #expect(requests.last?.contains("bytes=") == true)
    }

    @Test func wrongChecksumsAndAnswersLeaveNothing() throws {
        let folder = try TemporaryFolder()
        let cache = try TemporaryFolder()
        let (file, _) = try tinyFile(folder)
        let server = try Server(file: file, cuts: 0)
        let address = "https://localhost:\(server.port)/"
        let wrong = try pull([address + "tiny.gguf", "--sha256", String(repeating: "0", count: 64)], cache, server)
        #expect(wrong.status == 1 && wrong.complaints.contains("has SHA-256"))
        let missing = try pull([address + "missing.gguf"], cache, server)
        #expect(missing.status == 1 && missing.complaints.contains("the server answered 404"))
        let text = folder.file("text.gguf")
        try Data("This is a text, and no model.".utf8).write(to: text)
        let textServer = try Server(file: text, cuts: 0)
        let noModel = try pull(["https://localhost:\(textServer.port)/text.gguf"], cache, textServer)
        #expect(noModel.status == 1 && noModel.complaints.contains("is not a GGUF file"))
        let left = try FileManager.default.contentsOfDirectory(atPath: cache.file("models").path)
        #expect(left.isEmpty)
        let untrusted = try ProgramRun.run(
            ["models", "pull", address + "tiny.gguf"], environment: ["TRANSFERQ_CACHE": cache.url.path])
        #expect(untrusted.status == 1, "a certificate nobody vouches for")
    }

    @Test func hubAddressesAndFilesArePulled() throws {
        let folder = try TemporaryFolder()
        let cache = try TemporaryFolder()
        let (file, sha256) = try tinyFile(folder)
        let server = try Server(file: file, cuts: 0)
        let hub = try ProgramRun.run(
            ["models", "pull", "hf:owner/repo/hub.gguf"],
            environment: server.environment.merging([
                "TRANSFERQ_CACHE": cache.url.path, "HF_ENDPOINT": "https://localhost:\(server.port)",
            ]) { $1 })
        #expect(hub.status == 0, "\(hub.complaints)")
        #expect(server.requests().first?.hasPrefix("/owner/repo/resolve/main/hub.gguf") == true)
        let environment = ["TRANSFERQ_CACHE": cache.url.path]
        let local = try ProgramRun.run(["models", "pull", file.path, "--sha256", sha256], environment: environment)
        #expect(local.status == 0, "\(local.complaints)")
        let list = try ProgramRun.run(["models", "list"], environment: environment)
        #expect(list.output.contains("hub.gguf") && list.output.contains("tiny.gguf"))
        let info = try ProgramRun.run(["models", "info", "tiny.gguf", "--format", "json"], environment: environment)
        #expect(info.status == 0 && info.output.contains(sha256))
        let generated = try ProgramRun.run(
            ["generate", "abc", "--model", "hub.gguf", "--max-tokens", "3"], environment: environment)
        #expect(generated.status == 0, "\(generated.complaints)")
        let none = try ProgramRun.run(["generate", "abc"], environment: environment)
        #expect(none.status == 1 && none.complaints.contains("transferq models pull smollm2-135m-instruct"))
    }

    @Test func optimizeWritesAFileThatRuns() throws {
        let folder = try TemporaryFolder()
        let (file, _) = try tinyFile(folder)
        let target = folder.file("fast.gguf").path
        let run = try ProgramRun.run(["models", "optimize", file.path, target, "--type", "q8_0"])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(try ProgramRun.run(["generate", "abc", "--model", target, "--max-tokens", "2"]).status == 0)
        let again = try ProgramRun.run(["models", "optimize", file.path, target, "--type", "q4_0"])
        #expect(again.status == 1 && again.complaints.contains("exists already"))
    }
}
