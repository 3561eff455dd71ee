import Foundation

/// One file on its way: what has arrived, what the server said of it, and runs of curl that add to it.
struct Transfer: Sendable {
    let address: URL
    /// What has arrived.
    let partial: URL
    /// Held while curl runs, by curl itself if this process is killed.
    let lock: FileLock
    /// Whether the whole file will be compared with a checksum.
    let isChecked: Bool

    /// What the server said of the file that `partial` is the beginning of.
    private var headers: URL { partial.appendingPathExtension("headers") }
    /// What it says in answer to the request that runs.
    private var answer: URL { partial.appendingPathExtension("answer") }

    var received: Int {
        // No file yet is nothing received.
        (try? GGUFFile.size(partial.path)) ?? 0
    }

    func discard() {
        for file in [partial, headers, answer] {
            // A file that is not there needs no removal, and one that cannot be removed fails the next attempt.
            try? FileManager.default.removeItem(at: file)
        }
    }

    /// Draws the conclusions from the last answer, of this run or of one that was killed: a beginning that cannot be gone on
    /// with is thrown away.
    ///
    /// - Returns: how many bytes can be gone on with.
    @discardableResult
    func settle() throws -> Int {
        guard received > 0 else {
            discard()
            return 0
        }
        if let said = ResponseHeaders(file: answer) {
            if let known = ResponseHeaders(file: headers) {
                guard said.continues(known) || said.saysNothing else {
                    discard()
                    return 0
                }
                try? FileManager.default.removeItem(at: answer)  // read again next time
            } else if said.status == 200 {
                guard rename(answer.path, headers.path) == 0 else {
                    throw StoreError.cannotWrite(path: headers.path, reason: String(cString: strerror(errno)))
                }
            }
        }
        guard let known = ResponseHeaders(file: headers), known.validator != nil || isChecked || isComplete(known)
        else {
            discard()
            return 0
        }
        return received
    }

    private func isComplete(_ known: ResponseHeaders) -> Bool { known.total == received }

    /// Runs curl until the file is complete.
    ///
    /// - Throws: ``StoreError/changed(address:)`` when it has to start again, and has thrown away what there was;
    ///   ``StoreError/interrupted(address:received:reason:)`` when it can go on.
    func run(progress: Downloader.Progress) async throws {
        let start = received
        let known = start > 0 ? ResponseHeaders(file: headers) : nil
        if let known, isComplete(known) { return }
        var arguments = [
            "curl", "--silent", "--show-error", "--suppress-connect-headers", "--fail", "--location", "--proto-redir",
            "=https", "--connect-timeout",
            "30",
            "--speed-limit", "1", "--speed-time", "60", "--dump-header", answer.path, "--output", partial.path,
        ]
        if start > 0 { arguments += ["--continue-at", "\(start)"] }
        if let validator = known?.validator { arguments += ["--header", "If-Range: \(validator)"] }
        let curl = ChildProgram(
            arguments: arguments + ["--config", "-", address.absoluteString],
            // The token goes through a pipe, where no list of processes shows it.
            input: authorization, output: lock.handle)
        let outcome = try await curl.run { progress(received) }
        let said = ResponseHeaders(file: answer)
        do { try check(outcome, said: said, known: known, start: start) } catch {
            if received == 0 { discard() }
            throw error
        }
        try settle()
        guard received > 0, said?.total ?? received == received else { throw restart() }
    }

    private func restart() -> StoreError {
        discard()
        return .changed(address: address.absoluteString)
    }

    private var authorization: String {
        guard let token = ProcessInfo.processInfo.environment["HF_TOKEN"], !token.isEmpty, !token.contains("\""),
            address.scheme == "https", let host = address.host(),
            host == "huggingface.co" || host.hasSuffix(".huggingface.co")
        else { return "" }
        return "header = \"Authorization: Bearer \(token)\"\n"
    }

    /// Turns curl's exit codes and the server's answer into errors.
    private func check(
        _ outcome: ChildProgram.Outcome, said: ResponseHeaders?, known: ResponseHeaders?, start: Int
    ) throws {
        if let known, let said, !said.saysNothing, !said.continues(known) { throw restart() }
        if let said, said.status == 206, said.start != start { throw restart() }
        switch outcome.status {
        case 0: return
        case 22:
            let code = outcome.complaints.matches(of: /error: ([0-9]{3})/).last.flatMap { Int($0.1) } ?? 0
            guard code == 416 else {
                throw StoreError.refusedByServer(address: address.absoluteString, status: code)
            }
            throw restart()
        // What is here is not a beginning of what is there, or the server knows no ranges: from the start, then.
        case 33: throw restart()
        case 23: throw StoreError.cannotWrite(path: partial.path, reason: "the disk may be full")
        case 127:
            throw StoreError.interrupted(
                address: address.absoluteString, received: received, reason: "the program curl is missing; install it")
        default:
            let reason = outcome.complaints.replacing(#/^curl: \([0-9]+\) /#, with: "")
            throw StoreError.interrupted(
                address: address.absoluteString, received: received,
                reason: reason.isEmpty ? "curl ended with code \(outcome.status)" : reason)
        }
    }
}

/// The headers of the last response that curl wrote to a file; those of redirects come before it.
struct ResponseHeaders: Sendable {
    let status: Int
    private let fields: [String: String]

    /// Nil when there is no file, or no response in it that is complete.
    init?(file: URL) {
        // A file that cannot be read says nothing of the server.
        guard let data = try? Data(contentsOf: file) else { return nil }
        self.init(String(decoding: data, as: UTF8.self))
    }

    init?(_ text: String) {
        let blocks = text.replacing("\r\n", with: "\n").components(separatedBy: "\n\n")
        // Behind the last blank line is a response that was cut, or nothing.
        guard let block = blocks.dropLast().last else { return nil }
        let lines = block.split(separator: "\n")
        guard let first = lines.first?.split(separator: " "), first.count >= 2, first[0].hasPrefix("HTTP/"),
            let status = Int(first[1])
        else { return nil }
        self.status = status
        fields = Dictionary(
            lines.dropFirst().compactMap { line in
                line.firstIndex(of: ":").map { colon in
                    (
                        line[..<colon].lowercased(),
                        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
                    )
                }
            }, uniquingKeysWith: { $1 })
    }

    /// Whether this is no answer about the file: a redirect, or an error.
    var saysNothing: Bool { ![200, 206, 416].contains(status) }

    /// First byte and length of the file, of `bytes 5-9/10`.
    private var range: (start: Int?, total: Int?) {
        guard let match = fields["content-range"]?.wholeMatch(of: /bytes +(?:([0-9]+)-[0-9]+|\*)\/([0-9]+|\*)/) else {
            return (nil, nil)
        }
        return (match.1.flatMap { Int($0) }, Int(match.2))
    }

    /// The first byte of a part.
    var start: Int? { range.start }

    /// Bytes of the whole file, when the server says.
    var total: Int? {
        status == 200 ? fields["content-length"].flatMap { Int($0) } : range.total
    }

    /// What names one version of the file to the byte, for If-Range: a strong ETag, or a date of change that is older than
    /// the response (RFC 9110, sections 8.8 and 13.1.5).
    var validator: String? {
        if let tag = fields["etag"], tag.hasPrefix("\"") { return tag }
        guard let changed = fields["last-modified"], let date = fields["date"], changed != date else { return nil }
        return changed
    }

    /// Whether this may be the answer of a server that has the same file as when it answered `earlier`.
    func continues(_ earlier: ResponseHeaders) -> Bool {
        guard status != 200, fields["etag"] == earlier.fields["etag"] else { return false }
        // A part may come without its date (RFC 9110, section 15.3.7), though not without its ETag.
        if let now = fields["last-modified"], let before = earlier.fields["last-modified"], now != before {
            return false
        }
        guard let total, let before = earlier.total else { return true }
        return total == before
    }
}
