package import Foundation
import Synchronization

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// POSTs of one server, with what may go wrong on the way.
///
/// A server that cannot be reached, or answers 429 or 5xx, is asked again. The redirects 307 and 308 are followed with
/// method and body, up to five times, but not from https to http; 301, 302 and 303 of a POST drop the body by custom, so they
/// are refused. Name and password of the address go along only to the place that they were written for.
package struct HTTPExchange: Sendable {
    /// For messages.
    let name: String
    let address: URL
    /// The header that goes with it.
    let authorization: String?
    /// Seconds for one try.
    let timeout: Double
    /// Seconds before each further try.
    let pauses: [Double]
    let advice: Advice

    /// What to do about a server, as parts of sentences.
    package struct Advice: Sendable {
        /// Where it lets nobody in.
        let access: String
        /// Where it takes too long.
        let slowness: String

        package init(access: String, slowness: String) {
            self.access = access
            self.slowness = slowness
        }

        package static let reward = Advice(
            access: "write its address with a name and a password, http://NAME:PASSWORD@HOST/…",
            slowness: "give it longer with --reward-timeout")
    }

    package init(
        name: String, address: URL, authorization: String?, timeout: Double, pauses: [Double],
        advice: Advice = .reward
    ) {
        self.name = name
        self.address = address
        self.authorization = authorization
        self.timeout = timeout
        self.pauses = pauses
        self.advice = advice
    }

    /// An answer that says what is wrong with the request.
    package struct Refusal: Error {
        package let status: Int
        package let text: String
    }

    /// What is wrong, as the part of a sentence that follows the name.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Returns: what the server answers.
    /// - Throws: ``Failure``, ``Refusal`` for status 400 and 422, `CancellationError`.
    package func post(_ body: Data) async throws -> Data {
        var complaint = ""
        var pause = 0.0
        for attempt in 0...pauses.count {
            if attempt > 0 { try await Task.sleep(for: .seconds(max(pause, pauses[attempt - 1]))) }
            do {
                let reply = try await withTimeout { try await follow(body) }
                if (200..<300).contains(reply.status) { return reply.data }
                let text = Self.beginning(of: reply.data)
                if reply.status == 400 || reply.status == 422 { throw Refusal(status: reply.status, text: text) }
                complaint = "answered with status \(reply.status)"
                guard reply.status == 429 || reply.status >= 500 else {
                    throw Failure(description: "\(complaint) (\"\(text)\"); \(remedy(for: reply.status))")
                }
                pause = reply.retryAfter
            } catch let error as URLError {
                try Task.checkCancellation()
                guard error.code != .timedOut else {
                    throw Failure(
                        description: "did not answer within \(timeout) s; make it faster, or \(advice.slowness)")
                }
                complaint = "could not be reached (\(error.localizedDescription))"
            }
        }
        throw Failure(description: "\(complaint), \(pauses.count + 1) times; check that the server runs")
    }

    private func remedy(for status: Int) -> String {
        switch status {
        case 401, 403, 407: advice.access
        case 413: "give the server a larger limit"
        default: "check the address"
        }
    }

    private static func beginning(of data: Data) -> String {
        String(decoding: data.prefix(300), as: UTF8.self).replacing("\n", with: " ")
    }

    private struct Reply: Sendable {
        let data: Data
        let status: Int
        let location: String?
        /// Seconds that the server wants to be left alone for, at most 10.
        let retryAfter: Double
    }

    private func withTimeout(_ work: @escaping @Sendable () async throws -> Reply) async throws -> Reply {
        try await withThrowingTaskGroup(of: Reply.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(for: .seconds(timeout))
                throw URLError(.timedOut)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    /// The answer, wherever it is to be had.
    private func follow(_ body: Data) async throws -> Reply {
        var place = address
        for _ in 0...Self.mostRedirects {
            let reply = try await answer(of: place, to: body)
            guard (301...303).contains(reply.status) || (307...308).contains(reply.status) else { return reply }
            guard let location = reply.location,
                let next = URL(string: location, relativeTo: place)?.absoluteURL,
                let scheme = next.scheme?.lowercased(), ["http", "https"].contains(scheme), next.host() != nil
            else {
                throw Failure(
                    description: "answered with status \(reply.status), a redirect to no address; check the server")
            }
            guard reply.status >= 307 else {
                throw Failure(
                    description:
                        "answered with status \(reply.status), a redirect to \(next.absoluteString) that drops "
                        + "what is sent; write that address instead")
            }
            guard scheme == "https" || place.scheme?.lowercased() == "http" else {
                throw Failure(
                    description: "redirects from https to \(next.absoluteString), which anyone on the way can read; "
                        + "write that address yourself if it is right")
            }
            place = next
        }
        throw Failure(description: "redirects more than \(Self.mostRedirects) times; write the last address instead")
    }

    private static let mostRedirects = 5

    private func answer(of place: URL, to body: Data) async throws -> Reply {
        // The deadline is kept above: not every platform's own counts fractions of seconds.
        var request = URLRequest(url: place, timeoutInterval: timeout.rounded(.up) + 1)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        if let authorization, Self.origin(of: place) == Self.origin(of: address) {
            request.setValue(authorization, forHTTPHeaderField: "Authorization")
        }
        request.httpBody = body
        let (data, response) = try await HTTPTransfers.shared.run(request, limit: RewardProtocol.longestReply)
        guard let data else {
            throw Failure(
                description:
                    "answered more than \(RewardProtocol.longestReply >> 20) MB; it must answer a number a text")
        }
        return Reply(
            data: data, status: response.statusCode, location: response.value(forHTTPHeaderField: "Location"),
            retryAfter: min(10, response.value(forHTTPHeaderField: "Retry-After").flatMap(Double.init) ?? 0))
    }

    private static func origin(of url: URL) -> String {
        let scheme = url.scheme?.lowercased() ?? ""
        return "\(scheme)://\(url.host()?.lowercased() ?? ""):\(url.port ?? (scheme == "https" ? 443 : 80))"
    }
}

/// Runs requests without following redirects, and reads of their answers no more than a limit.
private final class HTTPTransfers: NSObject, URLSessionDataDelegate, Sendable {
    static let shared = HTTPTransfers()

    /// One request under way.
    private final class Transfer: Sendable {
        struct State {
            var data = Data()
            var result: Result<(Data?, HTTPURLResponse), any Error>?
            var waiting: CheckedContinuation<(Data?, HTTPURLResponse), any Error>?
        }

        let limit: Int
        let state = Mutex(State())

        init(limit: Int) { self.limit = limit }

        /// Whether the answer is still within the limit.
        func add(_ part: Data) -> Bool {
            state.withLock { state in
                state.data += part
                return state.data.count <= limit
            }
        }

        func finish(_ make: (Data) -> Result<(Data?, HTTPURLResponse), any Error>) {
            let waiting = state.withLock { state in
                guard state.result == nil else {
                    return nil as CheckedContinuation<(Data?, HTTPURLResponse), any Error>?
                }
                state.result = make(state.data)
                defer { state.waiting = nil }
                return state.waiting
            }
            if let waiting, let result = state.withLock({ $0.result }) { waiting.resume(with: result) }
        }

        var value: (Data?, HTTPURLResponse) {
            get async throws {
                try await withCheckedThrowingContinuation { continuation in
                    let result = state.withLock { state in
                        if state.result == nil { state.waiting = continuation }
                        return state.result
                    }
                    if let result { continuation.resume(with: result) }
                }
            }
        }
    }

    private let transfers = Mutex<[Int: Transfer]>([:])
    private let session = Mutex<URLSession?>(nil)

    private var openSession: URLSession {
        session.withLock { session in
            if let session { return session }
            let configuration = URLSessionConfiguration.ephemeral
            configuration.httpMaximumConnectionsPerHost = 16
            configuration.httpShouldSetCookies = false
            let new = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
            session = new
            return new
        }
    }

    /// - Returns: nil as data where the answer is longer than the limit.
    func run(_ request: URLRequest, limit: Int) async throws -> (Data?, HTTPURLResponse) {
        let transfer = Transfer(limit: limit)
        let task = openSession.dataTask(with: request)
        let number = task.taskIdentifier
        transfers.withLock { $0[number] = transfer }
        defer { transfers.withLock { _ = $0.removeValue(forKey: number) } }
        return try await withTaskCancellationHandler {
            try Task.checkCancellation()
            task.resume()
            return try await transfer.value
        } onCancel: {
            // Not every platform tells of the end of a task that was cancelled early.
            transfer.finish { _ in .failure(CancellationError()) }
            task.cancel()
        }
    }

    private func transfer(of task: URLSessionTask) -> Transfer? { transfers.withLock { $0[task.taskIdentifier] } }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        completionHandler(nil)
        transfer(of: task)?.finish { .success(($0, response)) }
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        guard let transfer = transfer(of: dataTask), !transfer.add(data) else { return }
        let response = dataTask.response as? HTTPURLResponse
        transfer.finish { _ in response.map { .success((nil, $0)) } ?? .failure(URLError(.badServerResponse)) }
        dataTask.cancel()
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let response = task.response as? HTTPURLResponse
        transfer(of: task)?.finish { data in
            if let error { return .failure(error) }
            return response.map { .success((data, $0)) } ?? .failure(URLError(.badServerResponse))
        }
    }
}
