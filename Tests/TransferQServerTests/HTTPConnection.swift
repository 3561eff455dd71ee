import Foundation

/// A connection to a server on this machine, byte by byte: what a client does is under the test's control.
final class HTTPConnection: Sendable {
    struct Reply: Sendable {
        let status: Int
        let headers: [String: String]
        let body: Data

        var text: String { String(decoding: body, as: UTF8.self) }

        func object() throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: body) as? [String: Any] ?? [:]
        }

        /// The field `message` of an error.
        func message() throws -> String {
            ((try object()["error"] as? [String: Any])?["message"] as? String) ?? "none"
        }

        /// The events of a stream, without their mark at the end.
        func events() throws -> [[String: Any]] {
            try text.split(separator: "\n").filter { $0 != "data: [DONE]" }.map { line in
                try JSONSerialization.jsonObject(with: Data(line.dropFirst("data: ".count).utf8)) as? [String: Any]
                    ?? [:]
            }
        }
    }

    private let descriptor: Int32

    init(port: Int) throws {
        #if canImport(Darwin)
            descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #else
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let descriptor = descriptor
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw POSIXError(.ECONNREFUSED) }
    }

    deinit { close(descriptor) }

    /// The bytes of a request.
    static func request(
        _ method: String, _ path: String, _ body: String = "", headers: [String: String] = [:]
    ) -> String {
        var all = ["Host": "localhost", "Connection": "close"]
        if !body.isEmpty { all["Content-Type"] = "application/json" }
        if !body.isEmpty || method == "POST" { all["Content-Length"] = "\(body.utf8.count)" }
        all.merge(headers) { $1 }
        let lines = all.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }
        return "\(method) \(path) HTTP/1.1\r\n\(lines.joined())\r\n\(body)"
    }

    func send(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw POSIXError(.EPIPE) }
            rest.removeFirst(count)
        }
    }

    /// Some bytes; none at the end.
    func read(upTo count: Int = 65_536) async -> Data {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { [self] in
                var buffer = [UInt8](repeating: 0, count: count)
                let size = recv(descriptor, &buffer, count, 0)
                continuation.resume(returning: Data(buffer.prefix(max(0, size))))
            }
        }
    }

    /// Everything up to the end of the connection.
    func reply() async throws -> Reply {
        var data = Data()
        while true {
            let more = await read()
            if more.isEmpty { break }
            data += more
        }
        return try Self.parsed(data)
    }

    private static func parsed(_ data: Data) throws -> Reply {
        guard let end = data.firstRange(of: Data("\r\n\r\n".utf8)) else { throw POSIXError(.EBADMSG) }
        let head = String(decoding: data[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let status = Int(head[0].split(separator: " ").dropFirst().first ?? "") ?? 0
        let pairs = head.dropFirst().map { line in
            (String(line.prefix { $0 != ":" }).lowercased(), String(line.drop { $0 != ":" }.dropFirst(2)))
        }
        let headers = Dictionary(pairs, uniquingKeysWith: { $1 })
        var body = data[end.upperBound...]
        guard headers["transfer-encoding"] == "chunked" else {
            return Reply(status: status, headers: headers, body: Data(body))
        }
        var whole = Data()
        while let line = body.firstRange(of: Data("\r\n".utf8)),
            let size = Int(String(decoding: body[..<line.lowerBound], as: UTF8.self), radix: 16), size > 0
        {
            whole += body[line.upperBound...].prefix(size)
            body = body[line.upperBound...].dropFirst(size + 2)
        }
        return Reply(status: status, headers: headers, body: whole)
    }
}
