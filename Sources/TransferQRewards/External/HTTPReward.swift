import Foundation
public import TransferQ

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// `http://…` or `https://…`: a reward on a server.
///
/// What is sent depends on how the address ends: `classify` and `pooling` get {"input": [texts]}, `predict` gets
/// {"inputs": [[text]]}, all others what ``CommandReward`` sends; `?model=NAME` in the address goes into the body as
/// well. Texts are dialogues in hh-rlhf's form. ``RewardProtocol`` knows the forms of replies; `#class=PLACE` or
/// `#class=LABEL` behind the address picks one of several numbers.
///
/// A server that cannot be reached, or answers 429 or 5xx, is asked again after 0.25 s and after 1 s.
public struct HTTPReward: RewardModel {
    public let name: String
    private let address: URL
    private let choice: String?
    private let timeout: Double
    private let pauses: [Double]

    /// - Parameters:
    ///   - timeout: seconds for one try.
    ///   - pauses: seconds before each further try.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` for what is no address.
    public init(address: String, timeout: Double = 60, pauses: [Double] = [0.25, 1]) throws {
        name = address
        guard var parts = URLComponents(string: address), parts.host?.isEmpty == false else {
            throw TransferQError.rewardSpecification(
                specification: address, reason: "write an address, for example http://localhost:8000/reward")
        }
        let fragment = parts.fragment
        guard fragment == nil || fragment?.hasPrefix("class=") == true else {
            throw TransferQError.rewardSpecification(
                specification: address, reason: "behind # only class=PLACE or class=LABEL may stand")
        }
        choice = fragment.map { String($0.dropFirst("class=".count)) }
        parts.fragment = nil
        guard let url = parts.url else {
            throw TransferQError.rewardSpecification(specification: address, reason: "this is no address")
        }
        self.address = url
        self.timeout = timeout
        self.pauses = pauses
    }

    public var range: ClosedRange<Double>? { nil }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        // The deadline is kept below: not every platform's own counts fractions of seconds.
        var request = URLRequest(url: address, timeoutInterval: timeout.rounded(.up) + 1)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = try body(for: completions)
        let reply = try await send(request)
        do { return try RewardProtocol.rewards(in: reply, choice: choice) } catch let error as ReplyError {
            throw RewardError.failed(reward: name, reason: "\(error)")
        }
    }

    private func send(_ request: URLRequest) async throws -> Data {
        var complaint = ""
        for attempt in 0...pauses.count {
            if attempt > 0 { try await Task.sleep(for: .seconds(pauses[attempt - 1])) }
            do {
                let (data, status) = try await answer(to: request)
                if status == 200 { return data }
                complaint = "answered with status \(status)"
                guard status == 429 || status >= 500 else {
                    throw RewardError.failed(
                        reward: name, reason: "\(complaint) (\"\(Self.beginning(of: data))\"); check the address")
                }
            } catch let error as URLError {
                try Task.checkCancellation()
                guard error.code != .timedOut else {
                    throw RewardError.failed(
                        reward: name,
                        reason: "did not answer within \(timeout) s; make it faster, or give it longer with "
                            + "--reward-timeout")
                }
                complaint = "could not be reached (\(error.localizedDescription))"
            }
        }
        throw RewardError.failed(
            reward: name, reason: "\(complaint), \(pauses.count + 1) times; check that the server runs")
    }

    private func answer(to request: URLRequest) async throws -> (data: Data, status: Int) {
        try await withThrowingTaskGroup(of: (data: Data, status: Int).self) { group in
            group.addTask {
                let (data, response) = try await URLSession.shared.data(for: request)
                return (data, (response as? HTTPURLResponse)?.statusCode ?? 0)
            }
            group.addTask {
                try await Task.sleep(for: .seconds(timeout))
                throw URLError(.timedOut)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    private static func beginning(of data: Data) -> String {
        String(decoding: data.prefix(80), as: UTF8.self).replacing("\n", with: " ")
    }

    private struct Inputs: Encodable {
        var model: String?
        var input: [String]?
        var inputs: [[String]]?
    }

    private func body(for completions: [Completion]) throws -> Data {
        let query = URLComponents(url: address, resolvingAgainstBaseURL: false)?.queryItems
        let model = query?.first { $0.name == "model" }?.value
        switch address.lastPathComponent {
        case "classify", "pooling":
            return try RewardProtocol.encoded(Inputs(model: model, input: completions.map(Self.dialogue)))
        case "predict":
            return try RewardProtocol.encoded(Inputs(model: model, inputs: completions.map { [Self.dialogue($0)] }))
        default: return try RewardProtocol.encoded(RewardProtocol.Request(completions))
        }
    }

    private static func dialogue(_ completion: Completion) -> String {
        (completion.conversation + [Message(role: "assistant", content: completion.text)]).dialogue
    }
}
