import Foundation
import Synchronization
import TestSupport
import Testing
import TransferQLlama

/// Downloads that are cut, changed or made twice at once, from a scripted server of this machine.
@Suite struct DownloadTests {
    /// Serves the files `a` and `b` of a folder, which have the same length, as the path says:
    /// `slow`: in pieces; `cut`: the first answer ends in the middle; `swap`: `b` from the second answer on; `short`: half of
    /// it; `grow`: longer from the second answer on; `tag`, `weak`, `date`: what names the version;
    /// `polite`: If-Range is honoured; `plain`: no ranges.
    private static let script = """
        import http.server, sys, time
        folder, count = sys.argv[1], {}
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass
            def do_GET(self):
                path = self.path
                count[path] = count.get(path, 0) + 1
                first = count[path] == 1
                have = {name: self.headers.get(name) for name in ("Range", "If-Range")}
                print(path, have["Range"], have["If-Range"], flush=True)
                data = open(folder + ("/b" if "swap" in path and not first else "/a"), "rb").read()
                if "short" in path: data = data[:len(data) // 2]
                if "grow" in path and not first: data += bytes(100)
                version = "1" if first or not ("swap" in path or "grow" in path) else "2"
                tag = ('"v%s"' if "tag" in path else 'W/"v%s"') % version
                date = "Tue, 0%s Jan 2030 00:00:00 GMT" % version
                named = tag if "tag" in path else date
                start = 0
                wanted = have["Range"] if "plain" not in path else None
                if wanted and "polite" in path and have["If-Range"] not in (None, named): wanted = None
                if wanted:
                    start = int(wanted[6:].split("-")[0])
                    self.send_response(206)
                    self.send_header("Content-Range", "bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
                else:
                    self.send_response(200)
                body = data[start:]
                self.send_header("Content-Length", str(len(body)))
                if "tag" in path or "weak" in path: self.send_header("ETag", tag)
                if "date" in path: self.send_header("Last-Modified", date)
                self.end_headers()
                if "cut" in path and first:
                    self.wfile.write(body[:len(body) // 2])
                    self.wfile.flush()
                    self.close_connection = True
                    return self.connection.close()
                for begin in range(0, len(body), 20000):
                    self.wfile.write(body[begin:begin + 20000])
                    if "slow" in path: time.sleep(0.05)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """

    private final class Server {
        let folder: TemporaryFolder
        let files: [Data]
        private let process = Process()
        private let output = Pipe()
        private let port: Int

        init() throws {
            folder = try TemporaryFolder()
            var files: [Data] = []
            for (index, name) in ["a", "b"].enumerated() {
                try ModelWriter.tinyModel(to: folder.file(name), seed: UInt64(index + 1), vocabularyPadding: 100)
                files.append(try Data(contentsOf: folder.file(name)))
            }
            #expect(files[0].count == files[1].count && files[0] != files[1])
            self.files = files
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["python3", "-c", DownloadTests.script, folder.url.path]
            process.standardOutput = output
            // Clients that go away are what the tests are about.
            process.standardError = FileHandle.nullDevice
            try process.run()
            var line = Data()
            while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) {
                guard !byte.isEmpty else { break }
                line += byte
            }
            guard let number = Int(String(decoding: line, as: UTF8.self)) else { throw CocoaError(.fileReadUnknown) }
            port = number
        }

        func address(_ path: String) throws -> URL {
            try Downloader.address("http://127.0.0.1:\(port)/\(path).gguf")
        }

        var target: URL { folder.file("models/m.gguf") }

        func left() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.file("models").path).sorted()
        }

        /// Path, Range and If-Range of every request; stops the server.
        func requests() -> [String] {
            kill(process.processIdentifier, SIGKILL)
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            return text.split(separator: "\n").map(String.init)
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    }

    private final class Waits: Sendable {
        let count = Mutex(0)
    }

    private func download(
        _ path: String, _ server: Server, attempts: Int = 3, sha256: String? = nil
    ) async throws -> Data {
        try await Downloader(attempts: attempts).download(
            server.address(path), to: server.target, sha256: sha256, progress: { _ in })
        return try Data(contentsOf: server.target)
    }

    @Test func oneBringsTheFileAndTheOtherWaits() async throws {
        let server = try Server()
        let (address, target) = (try server.address("slow-tag"), server.target)
        let waits = Waits()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    try await Downloader().download(
                        address, to: target, sha256: nil, waiting: { waits.count.withLock { $0 += 1 } },
                        progress: { _ in })
                }
            }
            try await group.waitForAll()
        }
        #expect(try Data(contentsOf: server.target) == server.files[0])
        #expect(try server.left() == ["m.gguf"])
        #expect(waits.count.withLock { $0 } == 2)
        #expect(server.requests().count == 1)
    }

    @Test func dataIsBroughtOnce() async throws {
        let server = try Server()
        let store = ModelStore(root: server.target.deletingLastPathComponent())
        let source = try server.address("slow-tag").absoluteString
        let notices = Mutex<[String]>([])
        var paths: Set<String> = []
        for _ in 0..<2 {
            paths.insert(try await store.data(source) { sentence in notices.withLock { $0.append(sentence) } })
        }
        #expect(paths.count == 1 && notices.withLock { $0.count } == 1)
        #expect(try Data(contentsOf: URL(filePath: try #require(paths.first))) == server.files[0])
        #expect(server.requests().count == 1)
        // A path is itself, whatever is there.
        #expect(try await store.data("no/such.jsonl") { _ in } == "no/such.jsonl")
        #expect(
            try Downloader.address("hf:datasets/owner/repo/dir/p.jsonl.gz", of: .data).absoluteString
                == "https://huggingface.co/datasets/owner/repo/resolve/main/dir/p.jsonl.gz")
        for text in ["hf:owner/repo/p.jsonl", "hf:datasets/owner/p.jsonl", "http://example.org/p.jsonl"] {
            await #expect(throws: StoreError.badDataAddress(text)) { _ = try await store.data(text) { _ in } }
        }
    }

    @Test func aFileOfTheSameNameFromElsewhereIsNoSubstitute() async throws {
        let server = try Server()
        let addresses = [try server.address("slow-tag"), try server.address("slow-other-tag")]
        let target = server.target
        let results = await withTaskGroup(of: Bool.self) { group in
            for address in addresses {
                group.addTask {
                    do {
                        try await Downloader().download(address, to: target, sha256: nil, progress: { _ in })
                        return true
                    } catch StoreError.exists { return false } catch { return true }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.sorted { !$0 && $1 } == [false, true])
    }

    /// A server that honours If-Range sends the new file; one that does not is found out by what it says of its file.
    @Test(arguments: ["tag-polite", "tag", "date-polite", "date", "weak", "none", "tag-plain"])
    func aFileThatChangedBetweenTwoTriesIsFetchedAnew(naming: String) async throws {
        let server = try Server()
        #expect(try await download("cut-swap-\(naming)", server) == server.files[1])
        #expect(try server.left() == ["m.gguf"])
        let requests = server.requests()
        #expect(requests.count <= 3, "\(requests)")
        if naming.contains("tag") { #expect(requests[1].hasSuffix("\"v1\"")) }
        if naming.contains("date") { #expect(requests[1].hasSuffix("2030 00:00:00 GMT")) }
        if naming == "weak" || naming == "none" { #expect(requests[1].hasSuffix("None None"), "\(requests)") }
    }

    @Test(arguments: ["grow-tag", "grow-none"]) func aFileThatGrewIsFetchedAnew(naming: String) async throws {
        let server = try Server()
        #expect(try await download("cut-\(naming)", server) == server.files[0] + Data(count: 100))
    }

    @Test(arguments: ["tag", "date"]) func aFileThatStaysIsGoneOnWith(naming: String) async throws {
        let server = try Server()
        #expect(try await download("cut-\(naming)", server) == server.files[0])
        let requests = server.requests()
        #expect(requests.count == 2 && requests[1].contains("bytes=\(server.files[0].count / 2)-"), "\(requests)")
    }

    /// Without a name for the version only a checksum can tell, and if it says no, the beginning is at fault.
    @Test func checksumsTellWhereServersDoNot() async throws {
        let server = try Server()
        let sha256 = try GGUFFile.sha256(server.folder.file("b").path)
        #expect(try await download("cut-swap-none", server, sha256: sha256) == server.files[1])
        let requests = server.requests()
        #expect(requests.count == 3 && requests[1].contains("bytes=") && requests[2].contains("None"), "\(requests)")
    }

    @Test func aFileThatIsTooShortForItsTensorsNeverAppears() async throws {
        let server = try Server()
        let error = await #expect(throws: LlamaError.self) { try await download("short-tag", server) }
        #expect(error?.description.contains("it is cut: its tensors need") == true, "\(String(describing: error))")
        #expect(try server.left().isEmpty)
    }

    /// What a killed program left: pieces of two files, with the answer that the second piece came with.
    @Test func piecesThatAKilledRunLeftAreNotTrusted() async throws {
        let server = try Server()
        await #expect(throws: StoreError.self) { try await download("cut-swap-tag", server, attempts: 1) }
        let names = try server.left()
        let partial = try #require(names.first { $0.hasSuffix(".partial") })
        #expect(names.contains(partial + ".answer") || names.contains(partial + ".headers"))
        let models = server.folder.file("models")
        let file = try FileHandle(forUpdating: models.appending(path: partial))
        try file.seekToEnd()
        try file.write(contentsOf: server.files[1].dropFirst(server.files[0].count / 2).prefix(1000))
        try file.close()
        let answer = models.appending(path: partial + ".answer")
        let said = try String(contentsOf: answer, encoding: .utf8)
        try Data(said.utf8).write(to: models.appending(path: partial + ".headers"))
        try Data(said.replacing("200 OK", with: "206 Partial").replacing("v1", with: "v2").utf8).write(to: answer)
        #expect(try await download("cut-swap-tag", server) == server.files[1])
        #expect(try server.left() == ["m.gguf"])
    }

    @Test func aFileThatWasCompleteIsNotAskedForAgain() async throws {
        let server = try Server()
        await #expect(throws: StoreError.self) { try await download("cut-tag", server, attempts: 1) }
        let partial = try #require(try server.left().first { $0.hasSuffix(".partial") })
        try server.files[0].write(to: server.folder.file("models/\(partial)"))
        #expect(try await download("cut-tag", server) == server.files[0])
        #expect(server.requests().count == 1)
    }
}
